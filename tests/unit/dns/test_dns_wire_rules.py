"""What any DNS server owes its clients, whatever the names: RFC 1035, 2181, 6891, 8020, 8482, 8906."""

from typing import Any

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import pytest

from kubesvc.testing.builders import endpoint_slice, service

WEB = "web.default.svc.cluster.local"
HEADER = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
QUESTION = b"\x03web\x07default\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01"


@pytest.fixture(autouse=True)
def _cluster(server: Any) -> None:
    server.put(service("web", cluster_ip="10.96.0.7"))


def many(server: Any, count: int) -> None:
    addresses = [f"10.1.{n // 250}.{n % 250 + 1}" for n in range(count)]
    server.put(service("many", cluster_ip="None"), endpoint_slice("many", *addresses, port_name="http"))


def test_names_are_compared_without_case_and_the_askers_spelling_comes_back(server: Any) -> None:
    server.ask(WEB)
    reply = server.raw(HEADER + QUESTION.replace(b"web", b"WeB").replace(b"local", b"LOCAL"))
    assert reply is not None
    assert b"\x03WeB\x07default\x03svc\x07cluster\x05LOCAL\x00" in reply
    assert dns.message.from_wire(reply).answer[0].to_text() == "WeB.default.svc.cluster.LOCAL. 5 IN A 10.96.0.7"


def test_the_reply_carries_the_querys_id_and_its_rd_and_cd_bits(server: Any) -> None:
    for flags in (0, dns.flags.RD, dns.flags.RD | dns.flags.CD, dns.flags.AD):
        query = dns.message.make_query(WEB, "A", flags=flags)
        query.id = 0xBEEF
        reply = dns.message.from_wire(server.raw(query.to_wire()))
        assert reply.id == 0xBEEF
        assert reply.flags & (dns.flags.RD | dns.flags.CD) == flags & (dns.flags.RD | dns.flags.CD)
        assert not reply.flags & (dns.flags.RA | dns.flags.AD)


def test_a_set_of_addresses_turns_from_answer_to_answer(server: Any) -> None:
    many(server, 3)
    query = dns.message.make_query("many.default.svc.cluster.local", "A").to_wire()
    first = [dns.message.from_wire(server.raw(query)).answer[0][0].to_text() for _ in range(6)]
    assert sorted(first) == sorted(["10.1.0.1", "10.1.0.2", "10.1.0.3"] * 2)


@pytest.mark.parametrize(("edns", "payload", "size"), [(None, 0, 512), (0, 1232, 1232), (0, 4096, 1232), (0, 100, 512)])
def test_what_does_not_fit_is_cut_at_what_the_asker_takes(
    server: Any, edns: int | None, payload: int, size: int
) -> None:
    many(server, 300)
    answer = server.ask("many.default.svc.cluster.local", use_edns=edns, **({"payload": payload} if payload else {}))
    assert answer.truncated
    assert size - 20 < answer.size <= size
    assert len(answer.answer) > 20


def test_by_tcp_it_comes_whole(server: Any) -> None:
    many(server, 300)
    answer = server.ask("many.default.svc.cluster.local", tcp=True)
    assert not answer.truncated
    assert len(answer.answer) == 300


def test_more_than_64_kib_is_cut_by_tcp_too(server: Any) -> None:
    many(server, 5000)
    answer = server.ask("many.default.svc.cluster.local", tcp=True)
    assert answer.truncated
    assert answer.size <= 65535


def test_additional_records_go_first_and_are_no_truncation(server: Any) -> None:
    many(server, 7)
    plain = server.ask("_http._tcp.many.default.svc.cluster.local", "SRV")
    assert (plain.truncated, len(plain.answer), plain.additional) == (False, 7, [])
    edns = server.ask("_http._tcp.many.default.svc.cluster.local", "SRV", use_edns=0)
    assert len(edns.additional) == 7


def test_a_cut_answer_does_not_stand_for_one_that_fits(server: Any) -> None:
    many(server, 40)
    name = "many.default.svc.cluster.local"
    assert server.ask(name).truncated
    assert not server.ask(name, use_edns=0, payload=1232).truncated
    assert not server.ask(name, tcp=True).truncated
    assert server.ask(name).truncated


def test_edns_is_answered_with_edns_and_its_do_bit(server: Any) -> None:
    assert server.ask(WEB, use_edns=0).message.payload == 1232
    assert server.ask(WEB, use_edns=None).message.edns == -1
    message = server.ask(WEB, want_dnssec=True).message
    assert message.ednsflags & dns.flags.DO


def test_an_unknown_edns_version_is_badvers(server: Any) -> None:
    answer = server.ask(WEB, use_edns=1)
    assert (answer.rcode, answer.answer, answer.message.edns) == ("BADVERS", [], 0)


def test_edns_options_are_ignored(server: Any) -> None:
    cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")
    assert server.ask(WEB, use_edns=0, options=[cookie]).rcode == "NOERROR"


@pytest.mark.parametrize("qclass", ["CH", "HS", "NONE", "ANY"])
def test_other_classes_are_refused(server: Any, qclass: str) -> None:
    query = dns.message.make_query("version.bind", "TXT", rdclass=qclass)
    reply = dns.message.from_wire(server.raw(query.to_wire()))
    assert reply.rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("qtype", ["AXFR", "IXFR"])
def test_zone_transfers_are_refused(server: Any, qtype: str) -> None:
    query = dns.message.make_query("cluster.local", "A").to_wire()
    code = {"AXFR": 252, "IXFR": 251}[qtype].to_bytes(2, "big")
    reply = server.raw(query[:-4] + code + query[-2:])
    assert reply[3] & 0xF == dns.rcode.REFUSED


def test_any_gets_one_set_of_records(server: Any) -> None:
    server.put(service("web", {"name": "http", "port": 80}, cluster_ip="10.96.0.7"))
    assert server.ask(WEB, "ANY").answer == [f"{WEB}. 5 IN A 10.96.0.7"]
    assert server.ask("default.svc.cluster.local", "ANY").answer == []


@pytest.mark.parametrize("qtype", ["HTTPS", "SVCB", "MX", "TYPE97", "TYPE65", "TYPE300", "DS"])
def test_types_without_records_are_nodata_and_never_mixed_up(server: Any, qtype: str) -> None:
    assert server.ask(WEB, "TYPE97").answer == []
    answer = server.ask(WEB, qtype)
    assert (answer.rcode, answer.answer) == ("NOERROR", [])
    assert answer.message.question[0].rdtype == dns.rdatatype.from_text(qtype)


def test_other_opcodes_are_not_implemented(server: Any) -> None:
    for opcode in (dns.opcode.STATUS, dns.opcode.NOTIFY, dns.opcode.UPDATE):
        query = dns.message.make_query(WEB, "A")
        query.set_opcode(opcode)
        reply = server.raw(query.to_wire())
        assert reply[3] & 0xF == dns.rcode.NOTIMP
        assert len(reply) == 12


@pytest.mark.parametrize(
    "message",
    [
        HEADER,
        HEADER[:5] + b"\x02" + HEADER[6:] + QUESTION * 2,
        HEADER[:5] + b"\x00" + HEADER[6:],
        HEADER + QUESTION[:-1],
        HEADER + b"\xc0\x0c\x00\x01\x00\x01",
        HEADER + b"\x40web\x00\x00\x01\x00\x01",
        HEADER + b"\x3f" * 300,
        HEADER[:7] + b"\x01" + HEADER[8:] + QUESTION,
        HEADER[:11] + b"\x01" + QUESTION + b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x05",
        HEADER[:11] + b"\x02" + QUESTION + b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00" * 2,
    ],
)
def test_what_cannot_be_read_is_a_format_error(server: Any, message: bytes) -> None:
    reply = server.raw(message)
    assert reply is not None
    assert reply[:2] == message[:2]
    assert reply[3] & 0xF == dns.rcode.FORMERR
    assert len(reply) == 12


@pytest.mark.parametrize("message", [b"", b"\x00", HEADER[:11], b"\x12\x34\x81" + HEADER[3:] + QUESTION])
def test_fragments_and_answers_get_no_answer(server: Any, message: bytes) -> None:
    assert server.raw(message) is None


def test_the_longest_name_is_answered(server: Any) -> None:
    name = ".".join(["a" * 63] * 3 + ["b" * 47])
    assert server.ask(f"{name}.cluster.local").rcode == "NXDOMAIN"


def test_outside_names_follow_the_policy(make_server: Any) -> None:
    from kubesvc.dns.responder import Outside, Responder
    from kubesvc.dns.view import View

    for outside in Outside:
        server = make_server()
        server.responder = Responder(View(), outside=outside)
        assert server.ask("example.com").rcode == outside.name


def test_a_flood_of_random_names_is_bounded_and_leaves_the_others_remembered(server: Any) -> None:
    server.ask(WEB)
    known = set(server.responder._known)
    for n in range(20_000):
        server.raw(HEADER + QUESTION.replace(b"\x03web", b"\x08%08d" % n))
    memo = server.responder._memo
    assert known <= set(memo.known)
    assert len(memo.denied) <= 8192
    assert len(memo._keys) <= 8192 + len(memo.known) + 2
