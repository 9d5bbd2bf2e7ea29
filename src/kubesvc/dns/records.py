"""Records as values, and their wire form relative to a question."""

from ipaddress import ip_address
from typing import NamedTuple

from kubesvc.dns import wire
from kubesvc.dns.wire import Compressor, Type

# Whose data is exactly one name that RFC 1035 lets be compressed. SRV is not among them (RFC 2782).
_ONE_NAME = frozenset((Type.CNAME, Type.PTR, Type.NS))


class Record(NamedTuple):
    """One record of class IN; `source` names the object it came from, for people."""

    owner: bytes
    type: int
    ttl: int
    rdata: bytes
    source: str = ""

    def encode(self, compressor: Compressor) -> bytes:
        rdata = self.rdata
        if self.type in _ONE_NAME:
            rdata = compressor.shorten(rdata)
        elif self.type == Type.SOA:
            primary, at = wire.read_name(rdata, 0)
            contact, at = wire.read_name(rdata, at)
            rdata = compressor.shorten(primary) + compressor.shorten(contact) + rdata[at:]
        return wire.encode_record(compressor.shorten(self.owner), self.type, self.ttl, rdata)


def address(owner: bytes, ttl: int, packed: bytes, source: str = "") -> Record:
    """A for four bytes, AAAA for sixteen."""
    return Record(owner, Type.A if len(packed) == 4 else Type.AAAA, ttl, packed, source)


def srv(owner: bytes, ttl: int, weight: int, port: int, target: bytes, source: str = "") -> Record:
    """SRV of priority 0."""
    return Record(owner, Type.SRV, ttl, wire.pack16(0, weight, port) + target, source)


def text(owner: bytes, ttl: int, value: str, source: str = "") -> Record:
    data = value.encode()
    return Record(owner, Type.TXT, ttl, bytes((len(data),)) + data, source)


def soa(zone: bytes, ttl: int, *, primary: bytes, serial: int) -> Record:
    """The SOA whose TTL and minimum are both the time a denial may be remembered (RFC 2308)."""
    contact = b"\x0ahostmaster" + zone
    timers = wire.pack32(serial & 0xFFFFFFFF, 7200, 1800, 86400, ttl)
    return Record(zone, Type.SOA, ttl, primary + contact + timers)


def record_text(record: Record) -> str:
    """The record as a line of a zone file."""
    owner = wire.name_to_text(record.owner)
    return f"{owner}\t{record.ttl}\tIN\t{wire.type_text(record.type)}\t{_data_text(record)}"


def _data_text(record: Record) -> str:
    data = record.rdata
    if record.type in (Type.A, Type.AAAA):
        return str(ip_address(data))
    if record.type in _ONE_NAME:
        return wire.name_to_text(data)
    if record.type == Type.SRV:
        priority, weight, port = wire.unpack16(data[:6])
        return f"{priority} {weight} {port} {wire.name_to_text(data[6:])}"
    if record.type == Type.TXT:
        return '"' + data[1:].decode("latin-1") + '"'
    if record.type == Type.SOA:
        primary, at = wire.read_name(data, 0)
        contact, at = wire.read_name(data, at)
        timers = " ".join(map(str, wire.unpack32(data[at:])))
        return f"{wire.name_to_text(primary)} {wire.name_to_text(contact)} {timers}"
    return f"\\# {len(data)} {data.hex()}"
