"""Answers of upstreams, kept as long as they may be: positive, denials, failures; stale in need.

Time is passed in as seconds on any clock that does not step back. Bounded by number of answers;
the one that was least recently asked for goes first.
"""

from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum
from math import ceil
from typing import NamedTuple

from kubesvc.dns import wire
from kubesvc.dns.answers import Resolution, denial_ttl, is_denial
from kubesvc.dns.records import Record
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
    __slots__ = ("asked", "expires", "hits", "lifetime", "resolution", "stored")

    def __init__(self, resolution: Resolution, now: float, lifetime: float) -> None:
        self.resolution = resolution
        self.stored = now
        self.lifetime = lifetime
        self.expires = now + lifetime
        self.asked = now
        self.hits = 0

    def count(self, now: float, gap: float) -> int:
        """How often it was asked for without a longer gap between."""
        self.hits = self.hits + 1 if now - self.asked < gap else 1
        self.asked = now
        return self.hits


class Cached(NamedTuple):
    freshness: Freshness
    resolution: Resolution | None = None


class _Shelf(NamedTuple):
    """Answers, or denials and failures: neither pushes the other out."""

    entries: OrderedDict[Question, _Entry]
    size: int
    least: int
    most: int
    unkept: Sequence[bytes]


_MISS = Cached(Freshness.MISS)


class Cache:
    """At most `tuning.size` answers, and as many denials unless it says otherwise."""

    def __init__(self, tuning: CacheTuning = CACHE_DEFAULTS) -> None:
        self._tuning = tuning
        self._zones = _names(tuning.zones)
        denials = tuning.size if tuning.denial_size is None else tuning.denial_size
        longest = tuning.ttl if tuning.denial_ttl is None else tuning.denial_ttl
        self._shelves = (
            _Shelf(OrderedDict(), tuning.size, tuning.least, min(tuning.ttl, MAX_POSITIVE), _names(tuning.unkept)),
            _Shelf(OrderedDict(), denials, tuning.denial_least, min(longest, MAX_DENIAL), _names(tuning.denial_unkept)),
        )
        self.evictions = 0

    def __len__(self) -> int:
        return sum(len(shelf.entries) for shelf in self._shelves)

    def get(self, question: Question, now: float) -> Cached:
        """What is known about `question`, its TTLs counted down to `now`."""
        entries = next((shelf.entries for shelf in self._shelves if question in shelf.entries), None)
        if entries is None:
            return _MISS
        entry, tuning = entries[question], self._tuning
        if now >= entry.expires + tuning.stale:
            del entries[question]
            return _MISS
        entries.move_to_end(question)
        if now >= entry.expires:
            if entry.resolution.rcode == Rcode.SERVFAIL:
                return _MISS
            return Cached(Freshness.STALE, _with_ttls(entry.resolution, least=STALE_TTL, most=STALE_TTL))
        hits, left = entry.count(now, tuning.gap), entry.expires - now
        is_expiring = 0 < tuning.popular <= hits and left < ceil(entry.lifetime * tuning.prefetch_share)
        aged = entry.resolution if tuning.keep_ttl else _aged(entry.resolution, int(now - entry.stored))
        return Cached(Freshness.EXPIRING if is_expiring else Freshness.FRESH, aged)

    def put(self, question: Question, resolution: Resolution, now: float) -> Resolution:
        """Keep `resolution` for as long as it says, within our bounds; it, with TTLs within these bounds.

        A failure never takes the place of an answer that can still be served stale.
        """
        failed = resolution.rcode == Rcode.SERVFAIL
        if not failed and resolution.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
            return resolution
        shelf = self._shelves[failed or is_denial(resolution, question[1])]
        if not shelf.size or not self._is_covered(question[0]):
            return resolution
        if failed:
            lifetime = self._tuning.failure_ttl
        else:
            lifetime = min(max(_lifetime(resolution, question[1]), shelf.least), shelf.most)
            resolution = _with_ttls(resolution, least=shelf.least, most=shelf.most)
        if lifetime > 0 and not _is_below(question[0], shelf.unkept):
            self._keep(shelf, question, _Entry(resolution, now, lifetime), failed=failed)
        return resolution

    def _keep(self, shelf: _Shelf, question: Question, entry: _Entry, *, failed: bool) -> None:
        for other in self._shelves:
            before = other.entries.get(question)
            if before is not None and failed:
                return
            if before is not None:
                # What was popular is so still.
                entry.hits, entry.asked = before.hits, before.asked
                del other.entries[question]
        shelf.entries[question] = entry
        while len(shelf.entries) > shelf.size:
            shelf.entries.popitem(last=False)
            self.evictions += 1

    def _is_covered(self, name: bytes) -> bool:
        return _is_below(name, self._zones)


def _names(zones: Sequence[str]) -> list[bytes]:
    return [wire.name_from_text(zone) for zone in zones]


def _is_below(name: bytes, zones: Sequence[bytes]) -> bool:
    return any(wire.is_within(name, zone) for zone in zones)


def _lifetime(resolution: Resolution, qtype: int) -> int:
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
    def within(records: tuple[Record, ...]) -> tuple[Record, ...]:
        if all(least <= record.ttl <= most for record in records):
            return records
        return tuple(record._replace(ttl=min(max(record.ttl, least), most)) for record in records)

    return resolution._replace(answers=within(resolution.answers), authority=within(resolution.authority))
