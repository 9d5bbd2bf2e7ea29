"""Elements of nftables sets and maps, and tables, over netlink: added, deleted and listed without text.

A set's key and value are described by field types; a value in Python is a tuple of as many items.
One message per element lets the kernel say which element it refuses.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Literal, NamedTuple

from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink_wire import Missing, parse_attributes
from kubesvc.linux.nfnetlink import Message, NfnetlinkSocket

Field = Literal["ipv4", "ipv6", "proto", "port", "word", "range4", "range6", "chain"]
Item = int | str

SUBSYSTEM = 10
_FAMILIES = {"ip": socket.AF_INET, "ip6": socket.AF_INET6}
_GETTABLE, _DELTABLE, _GETRULE, _NEWSETELEM, _GETSETELEM, _DELSETELEM, _GETGEN = (
    SUBSYSTEM << 8 | command for command in (1, 2, 7, 12, 13, 14, 16)
)
_ELEM_TABLE, _ELEM_SET, _ELEM_ELEMENTS = 1, 2, 3
_KEY, _DATA, _FLAGS, _KEY_END = 1, 2, 3, 10
_DATA_VALUE, _DATA_VERDICT = 1, 2
_VERDICT_CODE, _VERDICT_CHAIN = 1, 2
_GOTO = struct.pack(">i", -4)
_TABLE_NAME, _TABLE_USE, _TABLE_HANDLE, _TABLE_USERDATA = 1, 3, 4, 6


@dataclass(frozen=True, slots=True)
class SetType:
    """A set (no values) or a map, by the fields of its key and its value, in order."""

    name: str
    key: tuple[Field, ...]
    value: tuple[Field, ...] = ()


class Element(NamedTuple):
    """An element to add or delete."""

    set: SetType
    key: tuple[Item, ...]
    value: tuple[Item, ...] = ()


class TableInfo(NamedTuple):
    """What tells a table from another of the same name: its handle; and what its maker wrote on it."""

    handle: int
    comment: str


class ElementSocket(NfnetlinkSocket):
    """Transactions on the elements of one table."""

    def __init__(self, family: str, table: str) -> None:
        super().__init__()
        self._family = _FAMILIES[family]
        self._table = table
        self._what = f"table {family} {table}"
        self._heads: dict[str, bytes] = {}

    def commit(self, deletes: Sequence[Element], adds: Sequence[Element]) -> None:
        """Delete, then add, in one transaction; raises BatchError with indexes into `[*deletes, *adds]`."""
        messages = [self._message(_DELSETELEM, 0, element, with_value=False) for element in deletes]
        messages += [self._message(_NEWSETELEM, wire.NLM_F_CREATE, element, with_value=True) for element in adds]
        self.batch(SUBSYSTEM, messages)

    def table(self) -> TableInfo | None:
        """The table as it is now; None if there is none."""
        attributes = wire.pack_attributes([(_TABLE_NAME, self._table)])
        try:
            found = parse_attributes(self.request(Message(_GETTABLE, 0, self._family, attributes), self._what))
        except Missing:
            return None
        return TableInfo(int.from_bytes(found[_TABLE_HANDLE], "big"), _comment(found.get(_TABLE_USERDATA, b"")))

    def delete_table(self) -> bool:
        """Delete the table with everything in it; False if there is none."""
        if self.table() is None:
            return False
        attributes = wire.pack_attributes([(_TABLE_NAME, self._table)])
        self.batch(SUBSYSTEM, [Message(_DELTABLE, 0, self._family, attributes)])
        return True

    def generation(self) -> int:
        """The number of the newest transaction of anybody in this namespace."""
        return read_generation(self)

    def count_rules(self) -> int:
        """How many rules the table has; counted again when somebody's transaction came between."""
        attributes = wire.pack_attributes([(1, self._table)])
        while True:
            try:
                return sum(1 for _ in self.dump(Message(_GETRULE, 0, self._family, attributes), self._what))
            except InterruptedError:
                continue

    def list_elements(self, set_: SetType) -> Iterator[tuple[tuple[Item, ...], tuple[Item, ...]]]:
        """Key and value of every element of a set; raises InterruptedError if it changed meanwhile."""
        message = Message(_GETSETELEM, 0, self._family, self._head(set_.name))
        for attributes in self.dump(message, f"{self._what}, {set_.name}"):
            elements = parse_attributes(attributes).get(_ELEM_ELEMENTS, b"")
            yield from (_parse_element(set_, body) for body in _list_items(elements))

    def _head(self, name: str) -> bytes:
        head = self._heads.get(name)
        if head is None:
            head = self._heads[name] = wire.pack_attributes([(_ELEM_TABLE, self._table), (_ELEM_SET, name)])
        return head

    def _message(self, kind: int, flags: int, element: Element, *, with_value: bool) -> Message:
        body = _element(element, with_value=with_value)
        packed = wire.pack_attributes([(_ELEM_ELEMENTS, [(1, body)])])
        return Message(kind, flags, self._family, self._head(element.set.name) + packed)


def read_generation(netlink: NfnetlinkSocket) -> int:
    """The number of the newest nftables transaction of anybody in the socket's namespace."""
    found = parse_attributes(netlink.request(Message(_GETGEN, 0, 0, b""), "nftables generation"))
    return int.from_bytes(found[1], "big")


def _element(element: Element, *, with_value: bool) -> wire.Attributes:
    start, end = _pack_key(element.set.key, element.key)
    attributes: list[tuple[int, wire.Payload]] = [(_KEY, [(_DATA_VALUE, start)])]
    if with_value and element.set.value:
        attributes.append((_DATA, _value(element)))
    if end is not None:
        attributes.append((_KEY_END, [(_DATA_VALUE, end)]))
    return attributes


def _value(element: Element) -> wire.Attributes:
    if element.set.value == ("chain",):
        return [(_DATA_VERDICT, [(_VERDICT_CODE, _GOTO), (_VERDICT_CHAIN, str(element.value[0]))])]
    return [(_DATA_VALUE, _pack_key(element.set.value, element.value)[0])]


def _pack_key(fields: tuple[Field, ...], items: tuple[Item, ...]) -> tuple[bytes, bytes | None]:
    """The fields' registers, each a multiple of 4 bytes; and the end of the key if a field is a range."""
    starts, ends = [], []
    for field, item in zip(fields, items, strict=True):
        start = end = b""
        match field, item:
            case "ipv4", str():
                start = socket.inet_pton(socket.AF_INET, item)
            case "ipv6", str():
                start = socket.inet_pton(socket.AF_INET6, item)
            case "word", int():
                start = struct.pack("=I", item)
            case "port", int():
                start = struct.pack(">HH", item, 0)
            case "proto", int():
                start = struct.pack("BBBB", item, 0, 0, 0)
            case (("range4" | "range6"), str()):
                network = ip_interface(item).network
                start, end = network.network_address.packed, network.broadcast_address.packed
            case _:
                raise TypeError(f"{item!r} is not a {field}")
        starts.append(start)
        ends.append(end or start)
    ranged = any(field in ("range4", "range6") for field in fields)
    return b"".join(starts), b"".join(ends) if ranged else None


def _parse_element(set_: SetType, body: bytes) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    attributes = parse_attributes(body)
    start = parse_attributes(attributes[_KEY])[_DATA_VALUE]
    end = parse_attributes(attributes[_KEY_END])[_DATA_VALUE] if _KEY_END in attributes else start
    key = _unpack(set_.key, start, end)
    if not set_.value:
        return key, ()
    data = parse_attributes(attributes[_DATA])
    if set_.value == ("chain",):
        verdict = parse_attributes(data[_DATA_VERDICT])
        return key, (wire.text(verdict.get(_VERDICT_CHAIN)),)
    return key, _unpack(set_.value, data[_DATA_VALUE], data[_DATA_VALUE])


_WIDTHS = {"ipv6": 16, "range6": 16}


def _unpack(fields: tuple[Field, ...], start: bytes, end: bytes) -> tuple[Item, ...]:
    items: list[Item] = []
    offset = 0
    for field in fields:
        width = _WIDTHS.get(field, 4)
        raw, last = start[offset : offset + width], end[offset : offset + width]
        offset += width
        match field:
            case "ipv4":
                items.append(socket.inet_ntop(socket.AF_INET, raw))
            case "ipv6":
                items.append(socket.inet_ntop(socket.AF_INET6, raw))
            case "word":
                items.append(struct.unpack("=I", raw)[0])
            case "port":
                items.append(int.from_bytes(raw[:2], "big"))
            case "proto":
                items.append(raw[0])
            case _:
                items.append(_cidr(raw, last))
    return tuple(items)


def _cidr(first: bytes, last: bytes) -> str:
    size = int.from_bytes(last, "big") - int.from_bytes(first, "big") + 1
    family = socket.AF_INET if len(first) == 4 else socket.AF_INET6
    return f"{socket.inet_ntop(family, first)}/{8 * len(first) - size.bit_length() + 1}"


def _list_items(data: bytes) -> Iterator[bytes]:
    """The payloads of a list attribute, whose items all have one type."""
    offset = 0
    while offset + 4 <= len(data):
        length = struct.unpack_from("=H", data, offset)[0]
        if length < 4:
            return
        yield data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def _comment(userdata: bytes) -> str:
    """The comment in a table's userdata: records of type, length, value; type 0 is the comment."""
    offset = 0
    while offset + 2 <= len(userdata):
        kind, length = userdata[offset], userdata[offset + 1]
        if kind == 0:
            return wire.text(userdata[offset + 2 : offset + 2 + length])
        offset += 2 + length
    return ""
