"""From the bytes of a question to what is asked, or to the refusal that they deserve.

The rules: RFC 1035 (format), 6891 (EDNS), 9619 (one question), 8906 (answer, do not stay silent).
"""

from typing import NamedTuple

from kubesvc.dns import wire
from kubesvc.dns.wire import Rcode, Type

_OPCODE = 0x7800
# Bits of the query that the answer repeats: opcode, RD, CD.
_ECHOED = _OPCODE | wire.FLAG_RD | wire.FLAG_CD

_OPTION = wire.opt_record()
_OPTION_DO = wire.opt_record(flags=wire.EDNS_DO)
# Bits that may be set in a query whose reply is remembered under the query's own bytes.
_PLAIN_FLAGS = wire.FLAG_RD | wire.FLAG_AD | wire.FLAG_CD


class Query(NamedTuple):
    """One well-formed question. `name` is lower-case; `question` keeps the asker's spelling."""

    id: bytes
    flags: int
    question: bytes
    name: bytes
    qtype: int
    qclass: int
    has_edns: bool
    dnssec_ok: bool
    payload: int  # what the asker says it can take by UDP, in bytes; 512 without EDNS
    plain: bool  # nothing but the question and at most an OPT without options

    @property
    def echoed_flags(self) -> int:
        return wire.FLAG_QR | self.flags & _ECHOED

    @property
    def option(self) -> bytes:
        """The OPT record that the reply carries, b"" when the asker speaks no EDNS."""
        if not self.has_edns:
            return b""
        return _OPTION_DO if self.dnssec_ok else _OPTION


class Rejection(NamedTuple):
    """A message that is not looked at further; `response` is None when silence is right."""

    response: bytes | None
    rcode: int = Rcode.FORMERR


DROPPED = Rejection(None)


def parse_query(message: bytes) -> Query | Rejection:
    """Read a message from a client. Never raises, whatever the bytes."""
    if len(message) < wire.HEADER_SIZE:
        return DROPPED
    header = wire.read_header(message)
    if header.flags & wire.FLAG_QR:
        # Answering an answer is how two servers are set against each other.
        return DROPPED
    if header.flags & _OPCODE:
        return _reject(message, header.flags, Rcode.NOTIMP)
    if header.questions != 1 or header.answers or header.authorities:
        return _reject(message, header.flags, Rcode.FORMERR)
    try:
        return _parse(message, header)
    except wire.BadMessage:
        return _reject(message, header.flags, Rcode.FORMERR)


def _parse(message: bytes, header: wire.Header) -> Query | Rejection:
    name, qtype, qclass, at = wire.read_question(message)
    if at != wire.HEADER_SIZE + len(name) + 4:
        raise wire.BadMessage("the question's name is compressed")
    options = [r for r in wire.read_records(message, at, header) if r.type == Type.OPT]
    if len(options) > 1 or (options and options[0].owner != wire.ROOT):
        raise wire.BadMessage("more than one OPT record, or one with a name")
    question = message[wire.HEADER_SIZE : at]
    is_usual = not header.flags & ~_PLAIN_FLAGS
    plain = is_usual and not header.additionals and at == len(message)
    if not options:
        size = wire.UDP_PLAIN_LIMIT
        return Query(message[:2], header.flags, question, name.lower(), qtype, qclass, False, False, size, plain)
    option = options[0]
    version = option.ttl >> 16 & 0xFF
    dnssec_ok = bool(option.ttl & wire.EDNS_DO)
    if version:
        return Rejection(_bad_version(message, header.flags, question, dnssec_ok=dnssec_ok), Rcode.BADVERS)
    plain = is_usual and header.additionals == 1 and not option.rdata_size and option.rdata_at == len(message)
    plain = plain and not option.ttl & ~wire.EDNS_DO
    size = max(option.class_, wire.UDP_PLAIN_LIMIT)
    return Query(message[:2], header.flags, question, name.lower(), qtype, qclass, True, dnssec_ok, size, plain)


def _reject(message: bytes, flags: int, rcode: int) -> Rejection:
    # The question is not repeated: what cannot be read cannot be quoted.
    head = wire.header_bytes(wire.FLAG_QR | flags & _ECHOED | rcode, questions=0)
    return Rejection(message[:2] + head, rcode)


def _bad_version(message: bytes, flags: int, question: bytes, *, dnssec_ok: bool) -> bytes:
    head = wire.header_bytes(wire.FLAG_QR | flags & _ECHOED, additionals=1)
    option = wire.opt_record(extended_rcode=Rcode.BADVERS >> 4, flags=wire.EDNS_DO if dnssec_ok else 0)
    return message[:2] + head + question + option
