"""A Corefile, as kubeadm, kind and k3s ship it, read into the options it stands for.

What is not understood is refused with its line and directive: to pass over it would be to answer
other than the file says.
"""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

from kubesvc.dns import tuning
from kubesvc.dns.corefile_forwarding import read_cache, read_forward
from kubesvc.dns.corefile_lines import CorefileError, Line, parse_lines
from kubesvc.dns.corefile_reading import Reading, Warn
from kubesvc.dns.options import DnsOptions, HostsOptions
from kubesvc.dns.rewrite import KINDS, Rewrite, checked
from kubesvc.dns.tuning import NO_CACHE, seconds, whole
from kubesvc.dns.wire import name_from_text

_REVERSE = ("in-addr.arpa", "ip6.arpa")
__all__ = ["CorefileError", "parse_corefile", "read_corefile"]


def read_corefile(path: Path, options: DnsOptions, *, warn: Warn | None = None) -> DnsOptions:
    """The file's options over `options`; raises CorefileError and OSError."""
    return parse_corefile(path.read_text(errors="replace"), options, file=str(path), directory=path.parent, warn=warn)


def parse_corefile(
    text: str,
    options: DnsOptions,
    *,
    file: str = "Corefile",
    directory: Path | None = None,
    warn: Warn | None = None,
) -> DnsOptions:
    """The options that the text of a Corefile stands for, over `options`. Raises CorefileError.

    What the file leaves out is off, as with CoreDNS: pages, cache and pod names among them.
    """
    off = replace(options, health_port=0, ready_port=0, metrics_port=0, pods="disabled", lameduck=0.0)
    reading = Reading(replace(off, cache=NO_CACHE), warn)
    for server in parse_lines(text, file=file, directory=directory):
        _read_server(reading, server)
    reading.set(stub_domains=tuple(reading.stubs))
    return reading.options


def _read_server(reading: Reading, server: Line) -> None:
    if server.block is None:
        raise reading.refuse(server, "a server block, { ... }, is expected here")
    zones = []
    for word in server.words:
        name, port = _zone_and_port(reading, server, word.rstrip(","))
        zones.append(name)
        if name == ".":
            reading.set(port=port)
    for name in zones:
        reading.begin_block(name)
        for line in server.block:
            _read_directive(reading, line)
        reading.end_block()


def _zone_and_port(reading: Reading, server: Line, word: str) -> tuple[str, int]:
    text = word.removeprefix("dns://")
    if "://" in text:
        raise reading.refuse(server, "only plain DNS is served")
    name, _, port = text.rpartition(":") if text.rpartition(":")[2].isdigit() else (text, "", "53")
    try:
        return tuning.zone(name), _port_number(port)
    except ValueError as err:
        raise reading.refuse(server, str(err)) from err


def _read_directive(reading: Reading, line: Line) -> None:
    reader = _DIRECTIVES.get(line.name)
    if reader is None:
        known = ", ".join(sorted(_DIRECTIVES))
        raise reading.refuse(line, f"unknown directive; known ones: {known}")
    try:
        reader(reading, line)
    except CorefileError:
        raise
    except ValueError as err:
        raise reading.refuse(line, str(err)) from err


# The directives


def _kubernetes(reading: Reading, line: Line) -> None:
    if reading.has_kubernetes:
        raise reading.refuse(line, "stands twice")
    reading.has_kubernetes = True
    zones = [zone.rstrip(".") for zone in line.arguments] or [reading.zone]
    own = [zone for zone in zones if not _is_reverse(zone)]
    if len(own) != 1 or own[0] in (".", ""):
        raise reading.refuse(line, f"exactly one zone for the cluster is expected, {len(own)} are given")
    name_from_text(own[0])
    reading.set(domain=own[0])
    for inner in line.block or ():
        match inner.words:
            case ["pods", "disabled" | "insecure" | "verified" as mode]:
                reading.set(pods=mode)
            case ["ttl", number] if whole(number) <= 3600:
                reading.set(ttl=whole(number))
            case ["endpoint_pod_names"]:
                reading.set(endpoint_pod_names=True)
            case ["kubeconfig", file, *_]:
                reading.set(kubeconfig=Path(file))
            case ["upstream"]:
                pass  # names that lead outside are always followed
            case ["fallthrough", *reverse] if reverse and all(_is_reverse(zone) for zone in reverse):
                pass  # reverse names that are not the cluster's always fall through
            case _:
                raise reading.refuse(inner, f"{' '.join(inner.words)!r} in a kubernetes block is not understood")


def _is_reverse(zone: str) -> bool:
    if zone.rstrip(".").endswith(_REVERSE):
        return True
    try:
        return "/" in zone and bool(ip_network(zone))
    except ValueError:
        return False


def _hosts(reading: Reading, line: Line) -> None:
    options = HostsOptions(file=line.arguments[0] if line.arguments else "/etc/hosts")
    entries: list[str] = []
    for inner in line.block or ():
        match inner.words:
            case ["ttl", number]:
                options = replace(options, ttl=whole(number))
            case ["reload", duration]:
                options = replace(options, reload=_seconds(reading, inner, duration))
            case ["no_reverse"]:
                options = replace(options, reverse=False)
            case ["fallthrough", *_]:
                pass  # names that are not in the file always go on to whoever knows them
            case [address, name, *more] if address[0].isdigit() or ":" in address:
                entries.append(" ".join((address, name, *more)))
            case _:
                raise reading.refuse(inner, f"{' '.join(inner.words)!r} in a hosts block is not understood")
    if entries and not line.arguments:
        options = replace(options, file="")
    reading.set(hosts=replace(options, text="\n".join(entries)))


def _rewrite(reading: Reading, line: Line) -> None:
    goes_on = line.arguments[:1] == ["continue"]
    words = line.arguments[1:] if line.arguments[:1] in (["stop"], ["continue"]) else line.arguments
    rules = [inner.words for inner in line.block or ()] or [words]
    for rule in rules:
        match rule:
            case ["name", kind, match, replacement, *answer] if kind in KINDS and answer in ([], ["answer", "auto"]):
                pass
            case ["name", match, replacement]:
                kind = "exact"
            case _:
                if line.block and rule[0] == "answer":
                    continue  # answers always come back under the name that was asked
                raise reading.refuse(line, f"{' '.join(rule)!r}: only names can be rewritten")
        if kind != "regex":
            match, replacement = (
                text if kind in ("prefix", "substring") else _dotted(text) for text in (match, replacement)
            )
        # In a pattern, unlike a name, upper case may mean something else than lower.
        match = match if kind == "regex" else match.lower()
        reading.set(rewrites=(*reading.options.rewrites, checked(Rewrite(kind, match, replacement.lower(), goes_on))))


def _dotted(text: str) -> str:
    return text if text.endswith(".") else text + "."


def _health(reading: Reading, line: Line) -> None:
    reading.set(health_port=_port(reading, line, 8080))
    for inner in line.block or ():
        if inner.name != "lameduck" or len(inner.words) != 2:
            raise reading.refuse(inner, "in a health block is not understood")
        reading.set(lameduck=_seconds(reading, inner, inner.words[1]))


def _ready(reading: Reading, line: Line) -> None:
    reading.set(ready_port=_port(reading, line, 8181))


def _prometheus(reading: Reading, line: Line) -> None:
    reading.set(metrics_port=_port(reading, line, 9153))


def _bind(reading: Reading, line: Line) -> None:
    if not line.arguments:
        raise reading.refuse(line, "at least one address is expected")
    for address in line.arguments:
        ip_address(address)
    if reading.zone == ".":
        reading.set(bind=",".join(line.arguments))


def _autopath(reading: Reading, line: Line) -> None:
    if line.arguments != ["@kubernetes"]:
        raise reading.refuse(line, "only @kubernetes is understood")
    reading.set(autopath=True)


def _log(reading: Reading, line: Line) -> None:
    reading.set(log_queries=True)


def _reload(reading: Reading, line: Line) -> None:
    given = [_seconds(reading, line, text) for text in line.arguments]
    interval, jitter, *_ = given + [30.0, 15.0][len(given) :]
    reading.set(reload=interval, reload_jitter=min(jitter, interval / 2))


def _always(reading: Reading, line: Line) -> None:
    """Directives for what this server does anyway: errors, loop, loadbalance."""


def _port(reading: Reading, line: Line, default: int) -> int:
    if not line.arguments:
        return default
    return _port_number(line.arguments[0].rpartition(":")[2])


def _port_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise ValueError(f"{text!r} is no port")
    return int(text)


def _seconds(reading: Reading, line: Line, text: str) -> float:
    """`5s`, `1m`, `500ms`; `0` is zero."""
    try:
        return seconds(text)
    except ValueError as err:
        raise reading.refuse(line, str(err)) from err


_DIRECTIVES: dict[str, Callable[[Reading, Line], None]] = {
    "autopath": _autopath,
    "bind": _bind,
    "cache": read_cache,
    "errors": _always,
    "forward": read_forward,
    "health": _health,
    "hosts": _hosts,
    "kubernetes": _kubernetes,
    "loadbalance": _always,
    "log": _log,
    "loop": _always,
    "prometheus": _prometheus,
    "ready": _ready,
    "reload": _reload,
    "rewrite": _rewrite,
}
