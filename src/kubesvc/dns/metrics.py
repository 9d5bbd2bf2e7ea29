"""The metrics page: CoreDNS's names, so that its dashboards and alerts read ours too.

What the hot path counts are plain numbers (`Tallies`, `Meter`); an answering process sums them up
as `Counts`, and the page is written from the counts of all of them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import msgspec

from kubesvc.dns.meter import DURATION_BUCKETS, SIZE_BUCKETS, Meter, size_counts
from kubesvc.dns.tally import Tally, Way

Labels = dict[str, str]
# CoreDNS's, for the time that a change of endpoints takes to show: 1 ms to nearly 9 minutes.
PROGRAMMING_BUCKETS = tuple(0.001 * 2**n for n in range(20))
# Transport and address family as CoreDNS labels them.
_WAYS = {Way.UDP4: ("udp", "1"), Way.UDP6: ("udp", "2"), Way.TCP4: ("tcp", "1"), Way.TCP6: ("tcp", "2")}


class ForwardCounts(msgspec.Struct, array_like=True):
    """What asking upstreams and remembering their answers came to."""

    cache_entries: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    served_stale: int = 0
    evictions: int = 0
    rejects: int = 0
    health_broken: int = 0
    durations: list[int] = []
    seconds: float = 0.0


class Counts(msgspec.Struct, array_like=True):
    """Everything one answering process has counted since its start."""

    replies: list[tuple[str, str, str, list[int]]] = []  # zone, type, rcode, how many by Way
    durations: list[int] = []  # per bucket of DURATION_BUCKETS, and above
    seconds: float = 0.0
    request_sizes: list[list[int]] = []  # by UDP and TCP, per bucket
    response_sizes: list[list[int]] = []
    panics: int = 0
    unsent: int = 0
    forward: ForwardCounts | None = None


class FeedCounts(msgspec.Struct, array_like=True):
    """How the watching side is doing; `silence` is the seconds since the API server was heard of."""

    silence: float | None = None
    bad_objects: int = 0
    synced: bool = False
    programming: Sequence[int] = ()  # per bucket of PROGRAMMING_BUCKETS, and above
    programming_seconds: float = 0.0
    reload_failures: int = 0
    configuration: str = ""  # SHA-512 of the Corefile in force, in hexadecimal; "" without one


def count(tallies: Iterable[Tally], meters: Sequence[Meter], forward: ForwardCounts | None = None) -> Counts:
    """Sum up what one process has counted."""
    return Counts(
        [(t.zone, t.type, t.rcode, t.counts) for t in tallies],
        _sum(meter.duration_counts() for meter in meters),
        sum(meter.seconds for meter in meters),
        [size_counts(meter.request_sizes) for meter in meters],
        [size_counts(meter.response_sizes) for meter in meters],
        sum(meter.panics for meter in meters),
        sum(meter.unsent for meter in meters),
        forward,
    )


def render(processes: Sequence[Counts], feed: FeedCounts, *, port: int = 53) -> bytes:
    """The page, in Prometheus' text format 0.0.4; `port` is the one that answers."""
    server = {"server": f"dns://:{port}"}
    lines: list[str] = []
    for part in (_requests(processes, server), _sizes(processes, server), _cache(processes), _feed(feed)):
        lines.extend(part)
    return ("\n".join(lines) + "\n").encode()


def _requests(processes: Sequence[Counts], server: Labels) -> Iterator[str]:
    by_type: Counter[tuple[str, str, Way]] = Counter()
    by_rcode: Counter[tuple[str, str]] = Counter()
    for zone, type_, rcode, numbers in (reply for counts in processes for reply in counts.replies):
        by_rcode[zone, rcode] += sum(numbers)
        by_type.update({(zone, type_, way): number for way, number in zip(Way, numbers, strict=True) if number})
    yield from _head("coredns_dns_requests_total", "counter", "DNS queries answered, by zone, transport and type.")
    for (zone, type_, way), number in by_type.items():
        proto, family = _WAYS[way]
        labels = server | {"zone": zone, "view": "", "proto": proto, "family": family, "type": type_}
        yield _line("coredns_dns_requests_total", labels, number)
    yield from _head("coredns_dns_responses_total", "counter", "DNS answers, by zone and rcode.")
    for (zone, rcode), number in by_rcode.items():
        labels = server | {"zone": zone, "view": "", "rcode": rcode, "plugin": _plugin(zone)}
        yield _line("coredns_dns_responses_total", labels, number)
    yield from _histogram(
        "coredns_dns_request_duration_seconds",
        "Time from receiving a query to having sent its answer.",
        DURATION_BUCKETS,
        _sum(counts.durations for counts in processes),
        sum(counts.seconds for counts in processes),
        server | {"zone": ".", "view": ""},
    )
    yield from _counter(
        "coredns_panics_total", "Queries that a fault kept from an answer.", _total(processes, "panics")
    )
    yield from _counter(
        "kubesvc_dns_unsent_total", "Answers that the kernel would not take.", _total(processes, "unsent")
    )


def _sizes(processes: Sequence[Counts], server: Labels) -> Iterator[str]:
    for name, what in (("request", "queries"), ("response", "answers")):
        full = f"coredns_dns_{name}_size_bytes"
        yield from _head(full, "histogram", f"Size of {what} in bytes.")
        parts = [part for process in processes if (part := getattr(process, f"{name}_sizes"))]
        for number, proto in enumerate(("udp", "tcp")):
            counts = _sum(part[number] for part in parts)
            labels = server | {"zone": ".", "view": "", "proto": proto}
            yield from _series(full, SIZE_BUCKETS, counts, None, labels)


def _cache(processes: Sequence[Counts]) -> Iterator[str]:
    parts = [counts.forward for counts in processes if counts.forward is not None]
    if not parts:
        return
    hits, misses = (sum(getattr(part, f"cache_{word}") for part in parts) for word in ("hits", "misses"))
    yield from _head("coredns_cache_entries", "gauge", "Answers of upstreams remembered.")
    yield _line("coredns_cache_entries", {}, sum(part.cache_entries for part in parts))
    yield from _counter("coredns_cache_requests_total", "Look-ups in the cache.", hits + misses)
    yield from _counter("coredns_cache_hits_total", "Look-ups that the cache could serve.", hits)
    yield from _counter("coredns_cache_misses_total", "Look-ups that it could not.", misses)
    for name, field, help_ in (
        ("coredns_cache_served_stale_total", "served_stale", "Answers served beyond their time, their upstreams away."),
        ("coredns_cache_evictions_total", "evictions", "Answers dropped for newer ones."),
        ("coredns_forward_max_concurrent_rejects_total", "rejects", "Queries refused because too many were waiting."),
        ("coredns_forward_healthcheck_broken_total", "health_broken", "Times that every upstream was down."),
    ):
        yield from _counter(name, help_, sum(getattr(part, field) for part in parts))
    yield from _histogram(
        "coredns_proxy_request_duration_seconds",
        "Time an upstream took to answer.",
        DURATION_BUCKETS,
        _sum(part.durations for part in parts),
        sum(part.seconds for part in parts),
    )


def _feed(feed: FeedCounts) -> Iterator[str]:
    yield from _head("kubesvc_dns_synced", "gauge", "1 once every Service is known.")
    yield _line("kubesvc_dns_synced", {}, int(feed.synced))
    yield from _counter("kubesvc_dns_bad_objects_total", "Objects that cannot be named.", feed.bad_objects)
    yield from _histogram(
        "coredns_kubernetes_dns_programming_duration_seconds",
        "Time from a change of endpoints to names that show it.",
        PROGRAMMING_BUCKETS,
        feed.programming,
        feed.programming_seconds,
        {"service_kind": "headless_with_selector"},
    )
    yield from _counter("coredns_reload_failed_total", "Configurations not followed.", feed.reload_failures)
    if feed.configuration:
        yield from _head("coredns_reload_version_info", "gauge", "The Corefile in force, by its hash.")
        yield _line("coredns_reload_version_info", {"hash": "sha512", "value": feed.configuration}, 1)
    if feed.silence is not None:
        yield from _head("kubesvc_dns_api_silence_seconds", "gauge", "Time since the API server was last heard of.")
        yield _line("kubesvc_dns_api_silence_seconds", {}, round(feed.silence, 3))


def _histogram(
    name: str,
    help_: str,
    edges: Sequence[float],
    counts: Sequence[int],
    total: float | None,
    labels: Labels | None = None,
) -> Iterator[str]:
    yield from _head(name, "histogram", help_)
    yield from _series(name, edges, counts, total, labels or {})


def _series(
    name: str, edges: Sequence[float], counts: Sequence[int], total: float | None, labels: Labels
) -> Iterator[str]:
    """`total` None leaves the sum at the buckets' upper edges, for sizes whose sum nobody charts."""
    padded = [*counts, *([0] * (len(edges) + 1 - len(counts)))]
    running = list(accumulate(padded))
    for edge, number in zip([*map(str, edges), "+Inf"], running, strict=True):
        yield _line(f"{name}_bucket", labels | {"le": edge}, number)
    estimate = sum(edge * number for edge, number in zip([*edges, edges[-1]], padded, strict=True))
    yield _line(f"{name}_sum", labels, estimate if total is None else total)
    yield _line(f"{name}_count", labels, running[-1])


def _counter(name: str, help_: str, number: int) -> Iterator[str]:
    yield from _head(name, "counter", help_)
    yield _line(name, {}, number)


def _head(name: str, kind: str, help_: str) -> Iterator[str]:
    yield f"# HELP {name} {help_}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, labels: Labels, number: float) -> str:
    inner = ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items())
    return f"{name}{{{inner}}} {number}" if inner else f"{name} {number}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _plugin(zone: str) -> str:
    """What CoreDNS would call the part of us that answered."""
    return "forward" if zone == "." else "kubernetes"


def _sum(lists: Iterable[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*lists, strict=True)]


def _total(processes: Sequence[Counts], field: str) -> int:
    return sum(getattr(process, field) for process in processes)
