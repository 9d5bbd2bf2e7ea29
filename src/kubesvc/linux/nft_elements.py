"""Elements of nftables sets and maps, and tables, over netlink: added, deleted and listed without text.

A set's key and value are described by field types; a value in Python is a tuple of as many items.
One message per element lets the kernel say which element it refuses.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink_wire import Missing, parse_attributes
from kubesvc.linux.nfnetlink import Message, NfnetlinkSocket
from kubesvc.linux.nft_codec import ElementCodec, Field, Item, SetType

__all__ = ["Element", "ElementSocket", "Field", "Item", "SetType", "TableInfo", "read_generation"]

SUBSYSTEM = 10
FAMILIES = {"ip": socket.AF_INET, "ip6": socket.AF_INET6}
_GETTABLE, _DELTABLE, _GETCHAIN, _GETRULE, _NEWSETELEM, _GETSETELEM, _DELSETELEM, _GETGEN = (
    SUBSYSTEM << 8 | command for command in (1, 2, 4, 7, 12, 13, 14, 16)
)
_CHAIN_TABLE, _CHAIN_NAME = 1, 3
_ELEM_TABLE, _ELEM_SET, _ELEM_ELEMENTS = 1, 2, 3
_TABLE_NAME, _TABLE_USE, _TABLE_HANDLE, _TABLE_USERDATA = 1, 3, 4, 6


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
        self._family = FAMILIES[family]
        self._table = table
        self._what = f"table {family} {table}"
        self._codecs: dict[SetType, ElementCodec] = {}

    def commit(self, deletes: Sequence[Element], adds: Sequence[Element]) -> None:
        """Delete, then add, in one transaction; raises BatchError with indexes into `[*deletes, *adds]`."""
        codec, family = self._codec, self._family
        messages = [Message(_DELSETELEM, 0, family, codec(set_).pack_key(key)) for set_, key, _ in deletes]
        messages += [
            Message(_NEWSETELEM, wire.NLM_F_CREATE, family, codec(set_).pack(key, value)) for set_, key, value in adds
        ]
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

    def chains(self) -> list[str]:
        """The names of the table's chains; listed again when somebody's transaction came between."""
        while True:
            try:
                found = list(self.dump(Message(_GETCHAIN, 0, self._family, b""), self._what))
            except InterruptedError:
                continue
            chains = [parse_attributes(each) for each in found]
            return [wire.text(each[_CHAIN_NAME]) for each in chains if wire.text(each[_CHAIN_TABLE]) == self._table]

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
        unpack = self._codec(set_).unpack
        for body in self._list_bodies(set_):
            yield unpack(body)

    def _list_bodies(self, set_: SetType) -> Iterator[bytes]:
        """The attributes of every element of a set."""
        message = Message(_GETSETELEM, 0, self._family, self._codec(set_).head)
        for attributes in self.dump(message, f"{self._what}, {set_.name}"):
            yield from _list_items(parse_attributes(attributes).get(_ELEM_ELEMENTS, b""))

    def _codec(self, set_: SetType) -> ElementCodec:
        codec = self._codecs.get(set_)
        if codec is None:
            head = wire.pack_attributes([(_ELEM_TABLE, self._table), (_ELEM_SET, set_.name)])
            codec = self._codecs[set_] = ElementCodec(set_, head)
        return codec


def read_generation(netlink: NfnetlinkSocket) -> int:
    """The number of the newest nftables transaction of anybody in the socket's namespace."""
    found = parse_attributes(netlink.request(Message(_GETGEN, 0, 0, b""), "nftables generation"))
    return int.from_bytes(found[1], "big")


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
