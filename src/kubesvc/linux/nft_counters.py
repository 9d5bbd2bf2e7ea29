"""Elements of nftables maps and sets with their counters, read over netlink."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink_wire import parse_attributes
from kubesvc.linux.nft_codec import Item
from kubesvc.linux.nft_elements import ElementSocket, SetType

_EXPRESSION, _EXPRESSIONS = 7, 11
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_BYTES, _PACKETS = 1, 2
_KEY = 1
_LENGTH = struct.Struct("=4xH")
# What stands between an element's key and its counter's bytes, as all kernels write it.
_BEFORE_BYTES = struct.pack("=HHHH8sHHHH", 44, _EXPRESSION, 12, _EXPRESSION_NAME, b"counter", 28, _EXPRESSION_DATA,
                            12, _BYTES)  # fmt: skip


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

    def byte_counts(self, set_: SetType) -> Iterator[tuple[bytes, int]]:
        """Of every element of a set the key, in the kernel's form, and how many bytes its counter has.

        Several times as fast as `counted`. Raises InterruptedError at the end if there was a transaction meanwhile.
        """
        for body in self._list_bodies(set_):
            start = 4 + _LENGTH.unpack_from(body)[0]
            end = start + len(_BEFORE_BYTES)
            if body[start:end] == _BEFORE_BYTES:
                yield body[8:start], int.from_bytes(body[end : end + 8], "big")
            else:
                attributes = parse_attributes(body)
                yield parse_attributes(attributes[_KEY])[1], _counter(attributes)[1]


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
