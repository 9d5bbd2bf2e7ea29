"""Hostile bytes: never an exception, never an answer that another implementation cannot read."""

from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubesvc.dns import wire
from kubesvc.dns.query import Query, parse_query
from kubesvc.testing.builders import endpoint_slice, service

_settings = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=6)
NAMES = st.sampled_from(
    ["web.default.svc.cluster.local", "_http._tcp.db.default.svc.cluster.local", "1.0.1.10.in-addr.arpa", "x.y", ""]
)


def fill(server: Any) -> None:
    server.put(service("web"), service("db", cluster_ip="None"), endpoint_slice("db", "10.1.0.1", port_name="http"))


@st.composite
def damaged_queries(draw: st.DrawFn) -> bytes:
    """A good query with some bytes changed, inserted or cut off."""
    qtype = draw(st.integers(1, 0xFFFF))
    name = draw(NAMES)
    message = bytearray(
        dns.message.make_query(
            name, dns.rdatatype.RdataType.make(qtype), use_edns=draw(st.sampled_from([None, 0]))
        ).to_wire()
    )
    for _ in range(draw(st.integers(0, 4))):
        message[draw(st.integers(0, len(message) - 1))] = draw(st.integers(0, 255))
    return bytes(message[: draw(st.integers(0, len(message)))]) + draw(st.binary(max_size=20))


def check(server: Any, message: bytes) -> None:
    for tcp in (False, True):
        reply = server.raw(message, tcp=tcp)
        again = server.raw(message, tcp=tcp)
        assert (reply is None) == (again is None)
        if reply is None:
            continue
        assert reply[:2] == message[:2]
        assert reply[2] & 0x80
        assert tcp or len(reply) <= 1232
        try:
            dns.message.from_wire(reply)
        except dns.exception.DNSException as err:
            # Questions that dnspython itself refuses (class ANY with an odd type and the like) may come back.
            raise AssertionError(reply.hex()) from err


@_settings
@given(message=st.binary(max_size=600))
def test_any_bytes(server: Any, message: bytes) -> None:
    check(server, message)


@_settings
@given(message=damaged_queries())
def test_damaged_queries(server: Any, message: bytes) -> None:
    fill(server)
    check(server, message)


@_settings
@given(labels=LABELS, qtype=st.integers(0, 0xFFFF), prefix=st.binary(max_size=3))
def test_names_of_any_bytes(server: Any, labels: list[bytes], qtype: int, prefix: bytes) -> None:
    fill(server)
    for suffix in (
        [],
        [b"default", b"svc", b"cluster", b"local"],
        [b"in-addr", b"arpa"],
        [b"ns", b"pod", b"cluster", b"local"],
    ):
        try:
            name = wire.name_from_labels(labels + suffix)
        except wire.BadName:
            continue
        message = b"\0\1\1\0\0\1\0\0\0\0\0\0" + name + qtype.to_bytes(2, "big") + b"\0\1" + prefix
        check(server, message)


@_settings
@given(message=st.binary(max_size=300))
def test_reading_names_and_records_raises_nothing_but_bad_message(message: bytes) -> None:
    try:
        header = wire.read_header(message)
        *_, at = wire.read_question(message)
        list(wire.read_records(message, at, header))
    except wire.BadMessage:
        pass


@_settings
@given(labels=LABELS)
def test_names_survive_the_way_to_the_wire_and_back(labels: list[bytes]) -> None:
    try:
        name = wire.name_from_labels(labels)
    except wire.BadName:
        return
    assert wire.read_name(b"xx" + name, 2) == (name, 2 + len(name))
    assert wire.labels_of(name) == labels
    assert dns.name.from_text(wire.name_to_text(name)).to_wire() == name


@_settings
@given(name=LABELS, question=LABELS)
def test_shortened_names_read_back_as_they_were(name: list[bytes], question: list[bytes]) -> None:
    try:
        first = wire.name_from_labels(question)
        second = wire.name_from_labels(name + question[1:])
    except wire.BadName:
        return
    message = bytes(12) + first + wire.Compressor(first).shorten(second)
    assert wire.read_name(message, 12 + len(first))[0] == second


CAPTURED = [
    (client, bytes.fromhex(message))
    for client, message in (
        line.split()
        for line in (Path(__file__).parent / "data" / "captured_queries.txt").read_text().splitlines()
        if not line.startswith("#")
    )
]


@pytest.mark.parametrize(
    ("client", "message"), CAPTURED, ids=[f"{client}-{n}" for n, (client, _) in enumerate(CAPTURED)]
)
def test_captured_queries_are_answered(server: Any, client: str, message: bytes) -> None:
    fill(server)
    check(server, message)
    reply = dns.message.from_wire(server.raw(message))
    assert reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    assert dns.message.from_wire(message).is_response(reply)


def test_captured_queries_with_any_one_byte_changed_harm_nothing(server: Any) -> None:
    fill(server)
    for _, message in CAPTURED:
        for at in range(len(message)):
            for value in (0, 1, 0x3F, 0x40, 0x7F, 0xC0, 0xFF):
                check(server, message[:at] + bytes((value,)) + message[at + 1 :])
            check(server, message[:at])


def test_a_query_is_read_as_dnspython_reads_it() -> None:
    query = dns.message.make_query("WEB.example.org", "AAAA", use_edns=0, payload=1400, want_dnssec=True)
    parsed = parse_query(query.to_wire())
    assert isinstance(parsed, Query)
    assert (parsed.name, parsed.qtype, parsed.payload) == (b"\x03web\x07example\x03org\x00", 28, 1400)
    assert parsed.dnssec_ok
    assert parsed.plain
