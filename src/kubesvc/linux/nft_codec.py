"""Elements of nftables sets as bytes, and back.

All elements of one set have the same shape, attributes' lengths included (names of chains apart).
So the attributes' headers are packed once per set and only keys and values per element, which is
several times as fast as attribute by attribute: a large table has more than 100,000 elements.
"""

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_interface
from sys import byteorder
from typing import Any, Literal

from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink_wire import NLA_F_NESTED, parse_attributes

Field = Literal["ipv4", "ipv6", "proto", "port", "word", "range4", "range6", "chain"]
Item = int | str
Items = tuple[Item, ...]

_ELEMENTS = 3
_KEY, _DATA, _KEY_END = 1, 2, 10
_DATA_VALUE, _DATA_VERDICT = 1, 2
_VERDICT_CODE, _VERDICT_CHAIN = 1, 2
_GOTO = struct.pack(">i", -4)
_TWO_HEADERS = struct.Struct("=HHHH")


@dataclass(frozen=True, slots=True)
class SetType:
    """A set (no values) or a map, by the fields of its key and its value, in order."""

    name: str
    key: tuple[Field, ...]
    value: tuple[Field, ...] = ()

    def __hash__(self) -> int:
        return hash(self.name)


def _pack_range(item: Any) -> bytes:
    packed: bytes = ip_interface(item).network.network_address.packed
    return packed


def _last_of_range(item: Any) -> bytes:
    packed: bytes = ip_interface(item).network.broadcast_address.packed
    return packed


# A field's register is a multiple of 4 bytes; numbers are in the order that nft gives them.
_PACK: dict[Field, Callable[[Any], bytes]] = {
    "ipv4": lambda item: socket.inet_pton(socket.AF_INET, item),
    "ipv6": lambda item: socket.inet_pton(socket.AF_INET6, item),
    "word": lambda item: item.to_bytes(4, byteorder),
    "port": lambda item: item.to_bytes(2, "big") + b"\0\0",
    "proto": lambda item: item.to_bytes(1, "big") + b"\0\0\0",
    "range4": _pack_range,
    "range6": _pack_range,
}
_UNPACK: dict[Field, Callable[[bytes], Item]] = {
    "ipv4": socket.inet_ntoa,
    "ipv6": lambda raw: socket.inet_ntop(socket.AF_INET6, raw),
    "word": lambda raw: int.from_bytes(raw, byteorder),
    "port": lambda raw: int.from_bytes(raw[:2], "big"),
    "proto": lambda raw: raw[0],
}
# The same in two steps: what `struct` can do at once for all fields, and what is left to do.
_FORMATS: dict[Field, str] = {"ipv4": "4s", "ipv6": "16s", "word": "I", "port": "2s2x", "proto": "B3x"}
_DECODE: dict[Field, Callable[[Any], Item]] = {
    **_UNPACK, "word": int, "proto": int, "port": lambda raw: int.from_bytes(raw, "big"),
}  # fmt: skip
_TYPES: dict[Field, type] = {"ipv4": str, "ipv6": str, "word": int, "port": int, "proto": int, "range4": str,
                             "range6": str}  # fmt: skip


def _width(fields: tuple[Field, ...]) -> int:
    return sum(16 if field in ("ipv6", "range6") else 4 for field in fields)


def _slices(fields: tuple[Field, ...]) -> list[tuple[Field, slice]]:
    found, offset = [], 0
    for field in fields:
        width = _width((field,))
        found.append((field, slice(offset, offset + width)))
        offset += width
    return found


def unpack_fields(fields: tuple[Field, ...], raw: bytes) -> Items:
    """A key in the kernel's form as items."""
    return _unpack(_slices(fields), raw)


class ElementCodec:
    """One set's elements; `head` is what every message about the set begins with."""

    def __init__(self, set_: SetType, head: bytes) -> None:
        self.head = head
        self._set = set_
        self._chains = set_.value == ("chain",)
        self._ranged = any(field in ("range4", "range6") for field in set_.key)
        self._key_slices = _slices(set_.key)
        self._value_slices = [] if self._chains else _slices(set_.value)
        key, value = _width(set_.key), 0 if self._chains else _width(set_.value)
        self._key_length, self._value_length = key, value
        ends = 8 + key if self._ranged else 0
        self._before_key = head + _begin(8 + key + ends) + _nested(_KEY, key)
        self._before_full = head + _begin(8 + key + 8 + value + ends) + _nested(_KEY, key)
        self._before_value = _nested(_DATA, value)
        self._before_end = _nested(_KEY_END, key)
        self._usual = struct.Struct("=HHHH" + _format(set_.key) + ("HHHH" + _format(set_.value) if value else ""))
        self._key_headers = _TWO_HEADERS.unpack(_nested(_KEY, key, 0))
        self._value_headers = _TWO_HEADERS.unpack(_nested(_DATA, value, 0)) if value else ()

    def pack_key(self, key: Items) -> bytes:
        """The attributes of a message that names an element."""
        end = self._before_end + self._pack_ends(key) if self._ranged else b""
        return self._before_key + _pack(self._set.key, key) + end

    def pack(self, key: Items, value: Items) -> bytes:
        """The attributes of a message that holds a whole element. Raises TypeError for a wrong item."""
        if not self._set.value:
            return self.pack_key(key)
        if self._chains:
            return self._pack_verdict(key, str(value[0]))
        data = self._before_value + _pack(self._set.value, value)
        end = self._before_end + self._pack_ends(key) if self._ranged else b""
        return self._before_full + _pack(self._set.key, key) + data + end

    def unpack(self, body: bytes) -> tuple[Items, Items]:
        """Key and value of one listed element."""
        usual = None if self._ranged or self._chains else self._unpack_usual(body)
        if usual is not None:
            return usual
        attributes = parse_attributes(body)
        start = parse_attributes(attributes[_KEY])[_DATA_VALUE]
        end = parse_attributes(attributes[_KEY_END])[_DATA_VALUE] if _KEY_END in attributes else start
        key = tuple(
            _cidr(start[part], end[part]) if field in ("range4", "range6") else _UNPACK[field](start[part])
            for field, part in self._key_slices
        )
        if not self._set.value:
            return key, ()
        data = parse_attributes(attributes[_DATA])
        if self._chains:
            return key, (wire.text(parse_attributes(data[_DATA_VERDICT]).get(_VERDICT_CHAIN)),)
        return key, _unpack(self._value_slices, data[_DATA_VALUE])

    def _unpack_usual(self, body: bytes) -> tuple[Items, Items] | None:
        """Where the key and then the value come first, as all kernels write them; None if they do not."""
        if len(body) < self._usual.size:
            return None
        found = self._usual.unpack_from(body)
        values = 4 + len(self._set.key)
        if found[:4] != self._key_headers or found[values : values + 4] != self._value_headers:
            return None
        return (
            tuple([_DECODE[field](raw) for field, raw in zip(self._set.key, found[4:values], strict=True)]),
            tuple([_DECODE[field](raw) for field, raw in zip(self._set.value, found[values + 4 :], strict=True)]),
        )

    def _pack_ends(self, key: Items) -> bytes:
        ends = [
            _last_of_range(item) if field in ("range4", "range6") else _PACK[field](item)
            for field, item in zip(self._set.key, key, strict=True)
        ]
        return b"".join(ends)

    def _pack_verdict(self, key: Items, chain: str) -> bytes:
        verdict: wire.Attributes = [(_VERDICT_CODE, _GOTO), (_VERDICT_CHAIN, chain)]
        element: wire.Attributes = [
            (_KEY, [(_DATA_VALUE, _pack(self._set.key, key))]),
            (_DATA, [(_DATA_VERDICT, verdict)]),
        ]
        return self.head + wire.pack_attributes([(_ELEMENTS, [(1, element)])])


def _begin(length: int) -> bytes:
    """The headers of a list of one element whose attributes are `length` bytes long."""
    return _TWO_HEADERS.pack(length + 8, _ELEMENTS | NLA_F_NESTED, length + 4, 1 | NLA_F_NESTED)


def _nested(kind: int, length: int, flag: int = NLA_F_NESTED) -> bytes:
    """The headers of a value inside the attribute `kind`; the kernel's own have no flag."""
    return _TWO_HEADERS.pack(length + 8, kind | flag, length + 4, _DATA_VALUE)


def _format(fields: tuple[Field, ...]) -> str:
    return "".join(_FORMATS.get(field, "") for field in fields)


def _pack(fields: tuple[Field, ...], items: Items) -> bytes:
    try:
        return b"".join([_PACK[field](item) for field, item in zip(fields, items, strict=True)])
    except (AttributeError, TypeError, ValueError, OSError) as err:
        for field, item in zip(fields, items, strict=False):
            if not isinstance(item, _TYPES[field]):
                raise TypeError(f"{item!r} is not a {field}") from err
        raise


def _unpack(slices: list[tuple[Field, slice]], raw: bytes) -> Items:
    return tuple([_UNPACK[field](raw[part]) for field, part in slices])


def _cidr(first: bytes, last: bytes) -> str:
    size = int.from_bytes(last, "big") - int.from_bytes(first, "big") + 1
    family = socket.AF_INET if len(first) == 4 else socket.AF_INET6
    return f"{socket.inet_ntop(family, first)}/{8 * len(first) - size.bit_length() + 1}"
