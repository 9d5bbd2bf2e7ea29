"""The metrics page: CoreDNS's names, so that its dashboards and alerts read ours too.

What the hot path counts are plain numbers (`Tallies`, `Meter`); an answering process sums them up
as `Counts`, and the page is written from the counts of all of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import msgspec

from kubesvc.dns.meter import DURATION_BUCKETS, SIZE_BUCKETS, Meter, size_counts
from kubesvc.dns.tally import Tally

Labels = dict[str, str]


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

    replies: list[tuple[str, str, str, int]] = []  # zone, type, rcode, how many
    durations: list[int] = []  # per bucket of DURATION_BUCKETS, and above
    seconds: float = 0.0
    request_sizes: list[int] = []
    response_sizes: list[int] = []
    panics: int = 0
    unsent: int = 0
    forward: ForwardCounts | None = None


class FeedCounts(msgspec.Struct, array_like=True):
    """How the watching side is doing; `silence` is the seconds since the API server was heard of."""

    silence: float | None = None
    bad_objects: int = 0
    synced: bool = False


def count(tallies: Iterable[Tally], meter: Meter, forward: ForwardCounts | None = None) -> Counts:
    """Sum up what one process has counted."""
    return Counts(
        [(t.zone, t.type, t.rcode, t.count) for t in tallies],
        meter.duration_counts(),
        meter.seconds,
        size_counts(meter.request_sizes),
        size_counts(meter.response_sizes),
        meter.panics,
        meter.unsent,
        forward,
    )


def render(processes: Sequence[Counts], feed: FeedCounts) -> bytes:
    """The page, in Prometheus' text format 0.0.4."""
    lines: list[str] = []
    for part in (_requests(processes), _sizes(processes), _cache(processes), _feed(feed)):
        lines.extend(part)
    return ("\n".join(lines) + "\n").encode()


def _requests(processes: Sequence[Counts]) -> Iterator[str]:
    by_type: dict[tuple[str, str], int] = {}
    by_rcode: dict[tuple[str, str], int] = {}
    for zone, type_, rcode, number in (reply for counts in processes for reply in counts.replies):
        by_type[zone, type_] = by_type.get((zone, type_), 0) + number
        by_rcode[zone, rcode] = by_rcode.get((zone, rcode), 0) + number
    yield from _head("coredns_dns_requests_total", "counter", "DNS queries answered, by zone and type.")
    for (zone, type_), number in by_type.items():
        yield _line("coredns_dns_requests_total", {"server": "dns://", "zone": zone, "type": type_}, number)
    yield from _head("coredns_dns_responses_total", "counter", "DNS answers, by zone and rcode.")
    for (zone, rcode), number in by_rcode.items():
        yield _line("coredns_dns_responses_total", {"server": "dns://", "zone": zone, "rcode": rcode}, number)
    yield from _histogram(
        "coredns_dns_request_duration_seconds",
        "Time from receiving a query to having sent its answer.",
        DURATION_BUCKETS,
        _sum(counts.durations for counts in processes),
        sum(counts.seconds for counts in processes),
    )
    yield from _counter(
        "coredns_panics_total", "Queries that a fault kept from an answer.", _total(processes, "panics")
    )
    yield from _counter(
        "kubesvc_dns_unsent_total", "Answers that the kernel would not take.", _total(processes, "unsent")
    )


def _sizes(processes: Sequence[Counts]) -> Iterator[str]:
    for name, what in (("request", "queries"), ("response", "answers")):
        counts = _sum(getattr(process, f"{name}_sizes") for process in processes)
        help_ = f"Size of {what} in bytes."
        yield from _histogram(f"coredns_dns_{name}_size_bytes", help_, SIZE_BUCKETS, counts, None)


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
    if feed.silence is not None:
        yield from _head("kubesvc_dns_api_silence_seconds", "gauge", "Time since the API server was last heard of.")
        yield _line("kubesvc_dns_api_silence_seconds", {}, round(feed.silence, 3))


def _histogram(
    name: str, help_: str, edges: Sequence[float], counts: Sequence[int], total: float | None
) -> Iterator[str]:
    """`total` None leaves the sum at the buckets' upper edges, for sizes whose sum nobody charts."""
    yield from _head(name, "histogram", help_)
    padded = [*counts, *([0] * (len(edges) + 1 - len(counts)))]
    running = list(accumulate(padded))
    for edge, number in zip([*map(str, edges), "+Inf"], running, strict=True):
        yield _line(f"{name}_bucket", {"le": edge}, number)
    estimate = sum(edge * number for edge, number in zip([*edges, edges[-1]], padded, strict=True))
    yield _line(f"{name}_sum", {}, estimate if total is None else total)
    yield _line(f"{name}_count", {}, running[-1])


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


def _sum(lists: Iterable[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*lists, strict=True)]


def _total(processes: Sequence[Counts], field: str) -> int:
    return sum(getattr(process, field) for process in processes)
