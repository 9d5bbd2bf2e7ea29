"""Answers of upstreams, kept as long as they may be: positive, denials, failures; stale in need.

Time is passed in as seconds on any clock that does not step back. Bounded by number of answers;
the one that was least recently asked for goes first.
"""

from collections import OrderedDict
from enum import Enum
from typing import NamedTuple

from kubesvc.dns.answers import Resolution, denial_ttl, is_denial
from kubesvc.dns.tuning import CACHE_DEFAULTS, CacheTuning
from kubesvc.dns.wire import Rcode

MAX_POSITIVE = 3600
MAX_DENIAL = 1800
# Of an answer served beyond its time while no upstream answers (RFC 8767).
STALE_TTL = 30

Question = tuple[bytes, int, bool]  # name, type, whether DNSSEC records were asked for


class Freshness(Enum):
    MISS = "miss"
    FRESH = "fresh"
    EXPIRING = "expiring"  # fresh, popular, and soon to expire: fetch it anew meanwhile
    STALE = "stale"  # to be used only when no upstream answers


class _Entry:
    __slots__ = ("expires", "hits", "lifetime", "resolution", "stored")

    def __init__(self, resolution: Resolution, now: float, lifetime: float) -> None:
        self.resolution = resolution
        self.stored = now
        self.lifetime = lifetime
        self.expires = now + lifetime
        self.hits = 0


class Cached(NamedTuple):
    freshness: Freshness
    resolution: Resolution | None = None


_MISS = Cached(Freshness.MISS)


class Cache:
    """At most `size` answers and as many denials, unless `tuning` says how many; size 0 keeps none."""

    def __init__(self, *, size: int, max_ttl: int = MAX_POSITIVE, tuning: CacheTuning = CACHE_DEFAULTS) -> None:
        self._tuning = tuning
        self._sizes = (size, size if tuning.denial_size is None else tuning.denial_size)
        self._max_ttls = (max_ttl, max_ttl if tuning.denial_ttl is None else tuning.denial_ttl)
        # Answers, and denials and failures: neither pushes the other out.
        self._shelves: tuple[OrderedDict[Question, _Entry], ...] = (OrderedDict(), OrderedDict())
        self.evictions = 0

    def __len__(self) -> int:
        return sum(map(len, self._shelves))

    def get(self, question: Question, now: float) -> Cached:
        """What is known about `question`, its TTLs counted down to `now`."""
        shelf = next((shelf for shelf in self._shelves if question in shelf), None)
        if shelf is None:
            return _MISS
        entry = shelf[question]
        if now >= entry.expires + self._tuning.stale:
            del shelf[question]
            return _MISS
        shelf.move_to_end(question)
        if now >= entry.expires:
            if entry.resolution.rcode == Rcode.SERVFAIL:
                return _MISS
            return Cached(Freshness.STALE, _with_ttls(entry.resolution, least=STALE_TTL, most=STALE_TTL))
        entry.hits += 1
        left = entry.expires - now
        tuning = self._tuning
        is_expiring = 0 < tuning.popular <= entry.hits and left < entry.lifetime * tuning.prefetch_share
        aged = entry.resolution if tuning.keep_ttl else _aged(entry.resolution, int(now - entry.stored))
        return Cached(Freshness.EXPIRING if is_expiring else Freshness.FRESH, aged)

    def put(self, question: Question, resolution: Resolution, now: float) -> None:
        """Keep `resolution` for as long as it says, within our bounds.

        A failure never takes the place of an answer that can still be served stale.
        """
        failed = resolution.rcode == Rcode.SERVFAIL
        kind = int(failed or is_denial(resolution, question[1]))
        lifetime = self._tuning.failure_ttl if failed else _lifetime(resolution, question[1])
        seconds = min(lifetime, self._max_ttls[kind])
        if seconds <= 0 or not self._sizes[kind]:
            return
        if failed and any(question in shelf for shelf in self._shelves):
            return
        for shelf in self._shelves:
            shelf.pop(question, None)
        self._shelves[kind][question] = _Entry(resolution, now, seconds)
        while len(self._shelves[kind]) > self._sizes[kind]:
            self._shelves[kind].popitem(last=False)
            self.evictions += 1


def _lifetime(resolution: Resolution, qtype: int) -> int:
    if resolution.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
        return 0
    ttls = [record.ttl for record in resolution.answers]
    if is_denial(resolution, qtype):
        return min([*ttls, denial_ttl(resolution, most=MAX_DENIAL)])
    return min([*ttls, MAX_POSITIVE])


def _aged(resolution: Resolution, seconds: int) -> Resolution:
    if not seconds:
        return resolution
    return resolution._replace(
        answers=tuple(r._replace(ttl=max(r.ttl - seconds, 0)) for r in resolution.answers),
        authority=tuple(r._replace(ttl=max(r.ttl - seconds, 0)) for r in resolution.authority),
    )


def _with_ttls(resolution: Resolution, *, least: int, most: int) -> Resolution:
    return resolution._replace(
        answers=tuple(r._replace(ttl=min(max(r.ttl, least), most)) for r in resolution.answers),
        authority=tuple(r._replace(ttl=min(max(r.ttl, least), most)) for r in resolution.authority),
    )
