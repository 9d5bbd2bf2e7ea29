"""Reading what an upstream says, as a suspicious client does (RFC 5452)."""

from typing import NamedTuple

from kubesvc.dns import wire
from kubesvc.dns.records import Record
from kubesvc.dns.wire import BadMessage, Rcode, Type

# Where names stand in the data of the types that RFC 1035 and 3597 let be compressed: bytes to
# keep before the first name, and how many names follow.
_NAMES_IN_DATA = {
    Type.NS: (0, 1), Type.CNAME: (0, 1), Type.PTR: (0, 1), Type.MX: (2, 1), Type.SOA: (0, 2), Type.SRV: (6, 1),
}  # fmt: skip
# RRSIG, NSEC, NSEC3: sent only to those who asked for DNSSEC.
_RRSIG = 46
_PROOFS = frozenset((_RRSIG, 47, 50))
# Five numbers behind the two names.
_SOA_TIMERS = 20
MAX_CHAIN = 16


class Resolution(NamedTuple):
    """What an upstream, or the cache of its answers, says. Names are decompressed."""

    rcode: int
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    authentic: bool = False


class AskByTcp(BadMessage):
    """An answer to our question that did not fit, or one too easy to forge: TCP settles it."""


def read_answer(message: bytes, *, identifier: int, question: bytes, by_udp: bool) -> Resolution:
    """Read the answer to `question` (name in the spelling we sent, type, class).

    Raises BadMessage for anything that is no answer to it. By UDP, an answer that is cut or that
    does not keep our spelling, as old servers do and as forgers must guess, raises AskByTcp.
    Records that do not belong to the asked name, or to where its CNAMEs lead, are left out:
    nobody may plant names.
    """
    header = wire.read_header(message)
    if header.id != identifier or not header.flags & wire.FLAG_QR or header.questions != 1:
        raise BadMessage("not an answer to our query")
    at = wire.HEADER_SIZE + len(question)
    echoed = message[wire.HEADER_SIZE : at]
    if echoed.lower() != question.lower():
        raise BadMessage("an answer to another question")
    if header.flags & wire.FLAG_TC or (by_udp and echoed != question):
        raise AskByTcp("answer is cut, or spelled differently")
    raws = [raw for raw in wire.read_records(message, at, header) if raw.class_ == wire.IN]
    records = [(raw.section, _record(message, raw)) for raw in raws]
    extended = next((r.ttl >> 24 for r in wire.read_records(message, at, header) if r.type == Type.OPT), 0)
    rcode = extended << 4 | header.flags & 0xF
    name, qtype = question[:-4].lower(), int.from_bytes(question[-4:-2], "big")
    answers = _belonging([record for section, record in records if section == 1], name, qtype)
    above = [r for section, r in records if section == 2 and _covers(r.owner, name, answers)]
    soa = [r for r in above if r.type == Type.SOA][:1]
    proofs = [r for section, r in records if section == 2 and r.type in _PROOFS]
    return Resolution(rcode, tuple(answers), tuple(soa + proofs), bool(header.flags & wire.FLAG_AD))


def denial_ttl(resolution: Resolution, *, most: int) -> int:
    """Seconds a denial may be remembered: the lesser of the SOA's TTL and minimum (RFC 2308)."""
    if not resolution.authority or resolution.authority[0].type != Type.SOA:
        return 0
    soa = resolution.authority[0]
    return min(soa.ttl, int.from_bytes(soa.rdata[-4:], "big"), most)


def is_denial(resolution: Resolution, qtype: int) -> bool:
    """NXDOMAIN, or a chain that does not end in records of the asked type."""
    if resolution.rcode == Rcode.NXDOMAIN or not resolution.answers:
        return True
    return all(record.type in (Type.CNAME, _RRSIG) for record in resolution.answers) and qtype != Type.CNAME


def _record(message: bytes, raw: wire.RawRecord) -> Record:
    start, end = raw.rdata_at, raw.rdata_at + raw.rdata_size
    # A TTL with its highest bit set is zero (RFC 2181, section 8).
    ttl = 0 if raw.ttl & 0x80000000 else raw.ttl
    layout = _NAMES_IN_DATA.get(raw.type)  # type: ignore[call-overload]
    if layout is None:
        if (raw.type == Type.A and raw.rdata_size != 4) or (raw.type == Type.AAAA and raw.rdata_size != 16):
            raise BadMessage("an address of the wrong size")
        return Record(raw.owner.lower(), raw.type, ttl, message[start:end])
    before, names = layout
    rdata, at = message[start : start + before], start + before
    for _ in range(names):
        name, at = wire.read_name(message, at)
        rdata += name
    if end - at != (_SOA_TIMERS if raw.type == Type.SOA else 0):
        raise BadMessage("record data does not end where it should")
    return Record(raw.owner.lower(), raw.type, ttl, rdata + message[at:end])


def _belonging(records: list[Record], name: bytes, qtype: int) -> list[Record]:
    """The chain of CNAMEs from `name` and the records at its end, in that order."""
    chain: list[Record] = []
    for _ in range(MAX_CHAIN):
        alias = next((r for r in records if r.owner == name and r.type == Type.CNAME), None)
        if alias is None or qtype in (Type.CNAME, Type.ANY) or alias in chain:
            break
        chain.append(alias)
        name = alias.rdata.lower()
    owners = {r.owner for r in chain} | {name}
    if qtype == Type.ANY:
        return [r for r in records if r.owner == name]
    signatures = [r for r in records if r.owner in owners and r.type == _RRSIG and qtype != _RRSIG]
    return chain + [r for r in records if r.owner == name and r.type == qtype] + signatures


def _covers(zone: bytes, name: bytes, answers: list[Record]) -> bool:
    """Whether a zone's SOA can speak for the asked name or for the end of its chain."""
    last = answers[-1].rdata.lower() if answers and answers[-1].type == Type.CNAME else name
    return wire.is_within(last, zone)
