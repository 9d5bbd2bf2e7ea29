"""Counts of what was answered, cheap enough for the hot path."""

from dataclasses import dataclass, field
from enum import IntEnum

from kubesvc.dns import wire
from kubesvc.dns.wire import Type

# Types with a label of their own; all others are "other", so that no asker can grow the metrics.
_NAMED = frozenset(int(t) for t in Type) - {Type.OPT}


class Way(IntEnum):
    """How a query came: by which transport, over which family of socket."""

    UDP4 = 0
    UDP6 = 1
    TCP4 = 2
    TCP6 = 3


@dataclass(slots=True, eq=False)
class Tally:
    """Replies of one zone, type and rcode since the start, by `Way`."""

    zone: str
    type: str
    rcode: str
    counts: list[int] = field(default_factory=lambda: [0] * len(Way))


class Tallies:
    """All tallies; there are only as many as zones times types times rcodes."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[bytes, int, int], Tally] = {}

    def of(self, zone: bytes, qtype: int, rcode: int) -> Tally:
        key = (zone, qtype if qtype in _NAMED else 0, rcode)
        tally = self._by_key.get(key)
        if tally is None:
            type_ = wire.type_text(qtype) if qtype in _NAMED else "other"
            zone_text = wire.name_to_text(zone) if zone else "."
            tally = self._by_key[key] = Tally(zone_text, type_, wire.rcode_text(rcode))
        return tally

    def all(self) -> list[Tally]:
        return list(self._by_key.values())
