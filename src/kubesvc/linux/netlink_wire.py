"""Netlink messages as bytes: headers, attributes, and the errors an answer carries (RFC 3549, netlink(7)).

Nothing here owns a socket. An attribute is a `(type, payload)` pair; a nested one has a list of pairs
as its payload.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from typing import TypeAlias, Union

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300
NLM_F_DUMP_INTR = 0x10

NLMSG_ERROR = 2
NLMSG_DONE = 3

NLA_F_NESTED = 0x8000
_TYPE_MASK = 0x3FFF

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")

Payload: TypeAlias = Union[bytes, str, int, "Attributes"]
Attributes: TypeAlias = Sequence[tuple[int, Payload]]


class NetlinkError(OSError):
    """The kernel refused a request; says which object was asked about: `link br0: File exists`.

    NetlinkError
    ├── Exists      EEXIST
    ├── Missing     ENOENT, ENODEV, ESRCH, EADDRNOTAVAIL: the object is not there
    └── Denied      EPERM, EACCES: the privilege is not there
    """

    def __init__(self, code: int, what: str) -> None:
        super().__init__(code, os.strerror(code))
        self.what = what

    def __str__(self) -> str:
        return f"{self.what}: {self.strerror}"


class Exists(NetlinkError):
    pass


class Missing(NetlinkError):
    pass


class Denied(NetlinkError):
    pass


_BY_ERRNO: dict[int, type[NetlinkError]] = {
    17: Exists, 2: Missing, 19: Missing, 3: Missing, 99: Missing, 1: Denied, 13: Denied,
}  # fmt: skip


def parse_error(code: int, what: str) -> NetlinkError:
    """The exception of an error number about the object `what`."""
    return _BY_ERRNO.get(code, NetlinkError)(code, what)


def pack_attributes(attributes: Attributes) -> bytes:
    """Encode; integers become 32-bit host order, strings get their terminating zero."""
    parts = []
    for kind, payload in attributes:
        match payload:
            case bytes():
                value = payload
            case str():
                value = payload.encode() + b"\0"
            case int():
                value = struct.pack("=I", payload)
            case _:
                value, kind = pack_attributes(payload), kind | NLA_F_NESTED
        parts.append(_ATTRIBUTE.pack(len(value) + 4, kind) + value + bytes(-len(value) % 4))
    return b"".join(parts)


def parse_attributes(data: bytes) -> dict[int, bytes]:
    """Decode one level; nested payloads stay bytes, to be parsed in turn. The last of equal types wins."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & _TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def pack_message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """One whole message, header first."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | NLM_F_REQUEST, sequence, 0) + body


def parse_messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The (type, flags, sequence, body) of every message in one datagram."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        yield kind, flags, sequence, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def text(value: bytes | None) -> str:
    """A zero-terminated string attribute; "" when absent."""
    return (value or b"").rstrip(b"\0").decode()


def number(value: bytes | None) -> int:
    """An integer attribute of up to 64 bits; 0 when absent."""
    return int.from_bytes(value or b"", "little" if struct.pack("=H", 1)[0] else "big")
