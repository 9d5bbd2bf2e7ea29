"""The DNS wire format: names, records, types and codes (RFC 1035, 2782, 3596, 6891).

A name is held as its uncompressed wire bytes, `b"\\x03web\\x00"`, because that is what a question
carries and what a dict can find without decoding. Nothing here keeps state or touches a socket;
whatever bytes come in, the only exception that goes out is `BadMessage` (or `BadName` for text).
"""

from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

IN = 1
ROOT = b"\x00"
HEADER_SIZE = 12
MAX_NAME = 255
MAX_LABEL = 63
MAX_MESSAGE = 65535
UDP_PLAIN_LIMIT = 512
# Fits an Ethernet frame over IPv6 unfragmented; the size DNS flag day 2020 settled on.
UDP_EDNS_LIMIT = 1232

FLAG_QR, FLAG_AA, FLAG_TC, FLAG_RD = 0x8000, 0x0400, 0x0200, 0x0100
FLAG_RA, FLAG_AD, FLAG_CD = 0x0080, 0x0020, 0x0010
EDNS_DO = 0x8000

_HEADER = Struct("!HHHHHH")
_FIXED = Struct("!HHIH")
_PAIR = Struct("!HH")
_POINTER = Struct("!H")


class BadMessage(ValueError):
    """Bytes that are not a DNS message."""


class BadName(ValueError):
    """Text that is no domain name."""


class Type(IntEnum):
    """Record types the server makes or must recognise."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    HINFO = 13
    MX = 15
    TXT = 16
    AAAA = 28
    SRV = 33
    NAPTR = 35
    OPT = 41
    DS = 43
    SVCB = 64
    HTTPS = 65
    IXFR = 251
    AXFR = 252
    ANY = 255


class Rcode(IntEnum):
    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16


class Header(NamedTuple):
    id: int
    flags: int
    questions: int
    answers: int
    authorities: int
    additionals: int


class RawRecord(NamedTuple):
    """A record found in a message; `ttl_at` and `rdata_at` are offsets into that message."""

    owner: bytes
    type: int
    class_: int
    ttl: int
    ttl_at: int
    rdata_at: int
    rdata_size: int
    section: int  # 1 answer, 2 authority, 3 additional


def type_text(code: int) -> str:
    """`A`, or `TYPE1234` for a type without a name here (RFC 3597)."""
    try:
        return Type(code).name
    except ValueError:
        return f"TYPE{code}"


def type_code(text: str) -> int:
    """The reverse of `type_text`; raises BadName for a word that is neither."""
    word = text.upper()
    if word in Type.__members__:
        return Type[word].value
    if word.startswith("TYPE") and word[4:].isdigit() and int(word[4:]) <= 0xFFFF:
        return int(word[4:])
    raise BadName(f"{text!r} is no record type")


def rcode_text(code: int) -> str:
    try:
        return Rcode(code).name
    except ValueError:
        return f"RCODE{code}"


def name_from_text(text: str) -> bytes:
    """`web.default` or `web.default.` as lower-case wire bytes; raises BadName."""
    stripped = text.removesuffix(".")
    if not stripped:
        return ROOT
    try:
        labels = stripped.lower().encode("ascii").split(b".")
    except UnicodeEncodeError as err:
        raise BadName(f"{text!r}: a name is written in ASCII") from err
    return name_from_labels(labels)


def name_from_labels(labels: list[bytes]) -> bytes:
    """Join labels, most specific first; raises BadName when one or all are too long or empty."""
    if any(not 0 < len(label) <= MAX_LABEL for label in labels):
        raise BadName(f"{b'.'.join(labels)!r}: a label has 1 to {MAX_LABEL} bytes")
    wire = b"".join(bytes((len(label),)) + label for label in labels) + ROOT
    if len(wire) > MAX_NAME:
        raise BadName(f"{b'.'.join(labels)!r}: a name has at most {MAX_NAME} bytes")
    return wire


def labels_of(name: bytes) -> list[bytes]:
    """The labels of a well-formed wire name, without the root."""
    labels = []
    at = 0
    while size := name[at]:
        labels.append(name[at + 1 : at + 1 + size])
        at += size + 1
    return labels


def is_within(name: bytes, zone: bytes) -> bool:
    """Whether `name` is `zone` or below it; both lower-case."""
    at = 0
    while len(name) - at > len(zone):
        at += name[at] + 1
    return name[at:] == zone


def name_to_text(name: bytes) -> str:
    """Presentation form with the closing dot; bytes outside printable ASCII as `\\DDD`."""
    return ".".join("".join(map(_escape, label)) for label in labels_of(name)) + "."


def _escape(byte: int) -> str:
    char = chr(byte)
    if char in '."\\;()@$':
        return "\\" + char
    return char if 0x21 <= byte <= 0x7E else f"\\{byte:03d}"


def read_name(message: bytes, offset: int) -> tuple[bytes, int]:
    """The name at `offset`, decompressed, case kept, and the offset behind it.

    A pointer must point before the name it stands in, so that no chain of them can loop.
    """
    parts: list[bytes] = []
    at, total, behind, barrier = offset, 1, 0, offset
    try:
        while size := message[at]:
            if size < 0x40:
                total += size + 1
                if total > MAX_NAME or at + size + 1 > len(message):
                    raise BadMessage(f"name at {offset} runs over its end")
                parts.append(message[at : at + size + 1])
                at += size + 1
                continue
            if size < 0xC0:
                raise BadMessage(f"label type {size >> 6} at {at}")
            target = (size & 0x3F) << 8 | message[at + 1]
            if target >= barrier:
                raise BadMessage(f"pointer at {at} does not point back")
            behind = behind or at + 2
            at = barrier = target
    except IndexError as err:
        raise BadMessage(f"name at {offset} is cut off") from err
    return b"".join(parts) + ROOT, behind or at + 1


def read_header(message: bytes) -> Header:
    if len(message) < HEADER_SIZE:
        raise BadMessage("shorter than a header")
    return Header(*_HEADER.unpack_from(message))


def read_question(message: bytes) -> tuple[bytes, int, int, int]:
    """Name, type and class of the first question, and the offset behind it."""
    name, at = read_name(message, HEADER_SIZE)
    if at + 4 > len(message):
        raise BadMessage("question is cut off")
    qtype, qclass = _PAIR.unpack_from(message, at)
    return name, qtype, qclass, at + 4


def read_records(message: bytes, offset: int, header: Header) -> Iterator[RawRecord]:
    """Every record behind the question; raises BadMessage where they do not parse."""
    at = offset
    for section, count in enumerate((header.answers, header.authorities, header.additionals), 1):
        for _ in range(count):
            owner, at = read_name(message, at)
            if at + 10 > len(message):
                raise BadMessage("record is cut off")
            type_, class_, ttl, size = _FIXED.unpack_from(message, at)
            if at + 10 + size > len(message):
                raise BadMessage("record data is cut off")
            yield RawRecord(owner, type_, class_, ttl, at + 4, at + 10, size, section)
            at += 10 + size


@lru_cache(maxsize=1024)
def header_bytes(
    flags: int, *, questions: int = 1, answers: int = 0, authorities: int = 0, additionals: int = 0
) -> bytes:
    """A header without its first two bytes, the query's ID."""
    return _HEADER.pack(0, flags, questions, answers, authorities, additionals)[2:]


def opt_record(*, payload: int = UDP_EDNS_LIMIT, extended_rcode: int = 0, flags: int = 0) -> bytes:
    """An EDNS(0) pseudo record without options (RFC 6891)."""
    return ROOT + _FIXED.pack(Type.OPT, payload, extended_rcode << 24 | flags, 0)


def encode_record(owner: bytes, type_: int, ttl: int, rdata: bytes) -> bytes:
    """A record of class IN; `owner` and `rdata` are taken as they are, compressed or not."""
    return owner + _FIXED.pack(type_, IN, ttl, len(rdata)) + rdata


def encode_query(identifier: int, name: bytes, qtype: int, *, dnssec_ok: bool = False, recursive: bool = True) -> bytes:
    """A query of one question with EDNS, as sent to an upstream; `recursive` has it do the work."""
    header = _HEADER.pack(identifier, FLAG_RD if recursive else 0, 1, 0, 0, 1)
    return header + name + _PAIR.pack(qtype, IN) + opt_record(flags=EDNS_DO if dnssec_ok else 0)


class Compressor:
    """Shortens names by pointing into the question, and only there.

    Records made this way do not depend on where they stand in the message, so that they can be
    rotated or dropped without being encoded again.
    """

    def __init__(self, name: bytes, *, starts_at: int = HEADER_SIZE) -> None:
        """Point into `name`, the question's or its end, which stands at offset `starts_at`."""
        self._suffixes: dict[bytes, bytes] = {}
        at = 0
        while name[at]:
            self._suffixes[name[at:]] = _POINTER.pack(0xC000 | starts_at + at)
            at += name[at] + 1

    def shorten(self, name: bytes) -> bytes:
        """`name` with its longest suffix that the question holds replaced by a pointer."""
        at = 0
        while name[at]:
            pointer = self._suffixes.get(name[at:])
            if pointer is not None:
                return name[:at] + pointer
            at += name[at] + 1
        return name


def pack16(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def pack32(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


def unpack16(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))


def unpack32(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4))
