"""Answers of upstreams, kept as long as they may be: positive, denials, failures; stale in need.

Time is passed in as seconds on any clock that does not step back. Bounded by number of answers;
the one that was least recently asked for goes first.
"""

from collections import OrderedDict
from enum import Enum
from typing import NamedTuple

from kubesvc.dns.answers import Resolution, denial_ttl, is_denial
from kubesvc.dns.wire import Rcode

MAX_POSITIVE = 3600
MAX_DENIAL = 1800
FAILURE_SECONDS = 5
# How long beyond its time an answer may still be served while no upstream answers (RFC 8767).
STALE_SECONDS = 3600
STALE_TTL = 30
# An answer asked for this often is fetched anew in the last tenth of its time.
_POPULAR = 3
_PREFETCH_SHARE = 0.1

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
    """At most `size` resolutions; size 0 keeps none."""

    def __init__(self, *, size: int, max_ttl: int = MAX_POSITIVE) -> None:
        self._size = size
        self._max_ttl = max_ttl
        self._entries: OrderedDict[Question, _Entry] = OrderedDict()
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, question: Question, now: float) -> Cached:
        """What is known about `question`, its TTLs counted down to `now`."""
        entry = self._entries.get(question)
        if entry is None:
            return _MISS
        if now >= entry.expires + STALE_SECONDS:
            del self._entries[question]
            return _MISS
        self._entries.move_to_end(question)
        if now >= entry.expires:
            if entry.resolution.rcode == Rcode.SERVFAIL:
                return _MISS
            return Cached(Freshness.STALE, _with_ttls(entry.resolution, least=STALE_TTL, most=STALE_TTL))
        entry.hits += 1
        left = entry.expires - now
        is_expiring = entry.hits >= _POPULAR and left < entry.lifetime * _PREFETCH_SHARE
        aged = _aged(entry.resolution, int(now - entry.stored))
        return Cached(Freshness.EXPIRING if is_expiring else Freshness.FRESH, aged)

    def put(self, question: Question, resolution: Resolution, now: float) -> None:
        """Keep `resolution` for as long as it says, within our bounds.

        A failure never takes the place of an answer that can still be served stale.
        """
        seconds = min(_lifetime(resolution, question[1]), self._max_ttl)
        if seconds <= 0 or not self._size:
            return
        if resolution.rcode == Rcode.SERVFAIL and question in self._entries:
            return
        self._entries[question] = _Entry(resolution, now, seconds)
        self._entries.move_to_end(question)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
            self.evictions += 1


def _lifetime(resolution: Resolution, qtype: int) -> int:
    if resolution.rcode == Rcode.SERVFAIL:
        return FAILURE_SECONDS
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
