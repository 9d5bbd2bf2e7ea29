"""Elements of nftables maps with their counters, read over netlink."""

from collections.abc import Iterator
from typing import NamedTuple

from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink_wire import parse_attributes
from kubesvc.linux.nft_codec import Item
from kubesvc.linux.nft_elements import ElementSocket, SetType

_EXPRESSION, _EXPRESSIONS = 7, 11
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_BYTES, _PACKETS = 1, 2


class Counted(NamedTuple):
    """An element, and how many packets (and bytes of theirs) looked it up."""

    key: tuple[Item, ...]
    value: tuple[Item, ...]
    packets: int
    bytes: int


class CounterSocket(ElementSocket):
    """Reads a table's elements together with their counters."""

    def counted(self, set_: SetType) -> Iterator[Counted]:
        """Every element of a map; zeros where it has no counter. Raises InterruptedError if it changed meanwhile."""
        codec = self._codec(set_)
        for body in self._list_bodies(set_):
            yield Counted(*codec.unpack(body), *_counter(parse_attributes(body)))


def _counter(element: dict[int, bytes]) -> tuple[int, int]:
    expression = element.get(_EXPRESSION)
    if expression is None and _EXPRESSIONS in element:
        expression = next(iter(parse_attributes(element[_EXPRESSIONS]).values()), None)
    if expression is None:
        return 0, 0
    found = parse_attributes(expression)
    if wire.text(found.get(_EXPRESSION_NAME)) != "counter":
        return 0, 0
    data = parse_attributes(found[_EXPRESSION_DATA])
    return int.from_bytes(data[_PACKETS], "big"), int.from_bytes(data[_BYTES], "big")
