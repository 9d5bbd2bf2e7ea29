"""The directives of a Corefile about names that are not ours: `forward` and `cache`."""

from dataclasses import replace

from kubesvc.dns import tuning
from kubesvc.dns.corefile_lines import Line
from kubesvc.dns.corefile_reading import Reading
from kubesvc.dns.nameservers import parse_upstream
from kubesvc.dns.tuning import CACHE_DEFAULTS, FORWARD_DEFAULTS, tune_cache, tune_forward

_MOST_UPSTREAMS = 15


def read_forward(reading: Reading, line: Line) -> None:
    """`forward FROM TO...` and its block; of two for the same names the first counts, as with CoreDNS."""
    if len(line.arguments) < 2:
        raise reading.refuse(line, "FROM and at least one server are expected")
    source, *servers = line.arguments
    upstreams = tuple(_upstream(reading, line, server) for server in servers)
    if len(upstreams) > _MOST_UPSTREAMS:
        raise reading.refuse(line, f"{_MOST_UPSTREAMS} servers at most, {len(upstreams)} are given")
    zone = _zone(reading, line, source)
    if zone == ".":
        zone = reading.zone
    tuned = FORWARD_DEFAULTS
    for inner in line.block or ():
        try:
            tuned = tune_forward(tuned, inner.words)
        except ValueError as err:
            raise reading.refuse(inner, str(err)) from err
    if zone in reading.forwarded:
        reading.remark(line, f"an earlier one has the names of {zone!r} already")
        return
    reading.forwarded.append(zone)
    reading.set(forward=(*reading.options.forward, (zone, tuned)))
    if zone == ".":
        reading.set(upstreams=upstreams)
    else:
        reading.stubs.append((zone, upstreams))


def _upstream(reading: Reading, line: Line, server: str) -> str:
    if "://" in server and not server.startswith("dns://"):
        raise reading.refuse(line, f"{server}: only plain DNS upstreams can be asked")
    plain = server.removeprefix("dns://")
    if "/" not in plain:  # else it is a file of servers, read when the server starts
        try:
            parse_upstream(plain)
        except ValueError as err:
            raise reading.refuse(line, str(err)) from err
    return plain


def read_cache(reading: Reading, line: Line) -> None:
    """`cache [TTL] [ZONES...]` and its block."""
    tuned, zones = CACHE_DEFAULTS, line.arguments
    if zones and zones[0].isdigit():
        tuned, zones = replace(tuned, ttl=tuning.whole(zones[0])), zones[1:]
        if not tuned.ttl:
            raise reading.refuse(line, "the longest time cannot be 0")
    if zones:
        tuned = replace(tuned, zones=tuple(_zone(reading, line, zone) for zone in zones))
    for inner in line.block or ():
        try:
            tuned = tune_cache(tuned, inner.words)
        except ValueError as err:
            raise reading.refuse(inner, str(err)) from err
    reading.cache = tuned


def _zone(reading: Reading, line: Line, text: str) -> str:
    try:
        return tuning.zone(text)
    except ValueError as err:
        raise reading.refuse(line, str(err)) from err
