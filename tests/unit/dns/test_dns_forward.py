"""Foreign names: asked of upstreams that may be slow, dead, confused or hostile, all on loopback."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from kubesvc.dns import records, wire
from kubesvc.dns.answers import AskByTcp, Resolution, read_answer
from kubesvc.dns.cache import Cache
from kubesvc.dns.forward import Forwarding
from kubesvc.dns.nameservers import Upstream, parse_resolv_conf, parse_upstream, read_upstreams
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.routes import Route, Routes, routes_of
from kubesvc.dns.tuning import CacheTuning, ForwardTuning
from kubesvc.dns.upstream import UpstreamFailed, exchange
from kubesvc.dns.wire import BadMessage, Rcode, Type
from kubesvc.testing.clock import VirtualClock

NAME = wire.name_from_text("example.com")
A, B = Upstream("192.0.2.1"), Upstream("192.0.2.2")
Reply = Callable[[dns.message.Message], list[bytes]]


def answer_to(query: dns.message.Message, *lines: str, flags: int = 0) -> dns.message.Message:
    reply = dns.message.make_response(query, recursion_available=True)
    reply.flags |= flags
    for line in lines:
        name, ttl, _, type_, data = line.split(" ", 4)
        reply.answer.append(dns.rrset.from_text(name, int(ttl), "IN", type_, data))
    return reply


class FakeServer(asyncio.DatagramProtocol):
    """Answers UDP and TCP with whatever `reply` makes of a query."""

    def __init__(self, udp: Reply, tcp: Reply) -> None:
        self.udp, self.tcp = udp, tcp
        self.queries: list[dns.message.Message] = []
        self.ports: list[int] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        self.queries.append(query)
        self.ports.append(addr[1])
        for reply in self.udp(query):
            self.transport.sendto(reply, addr)

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        for reply in self.tcp(dns.message.from_wire(await reader.readexactly(size))):
            writer.write(len(reply).to_bytes(2, "big") + reply)
        writer.close()


@asynccontextmanager
async def fake(udp: Reply, tcp: Reply = lambda _: []) -> AsyncIterator[tuple[FakeServer, Upstream]]:
    loop = asyncio.get_running_loop()
    server = FakeServer(udp, tcp)
    streams = await asyncio.start_server(server.stream, "127.0.0.1", 0)
    port = streams.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", port))
    try:
        yield server, Upstream("127.0.0.1", port)
    finally:
        transport.close()
        streams.close()


def good(query: dns.message.Message) -> list[bytes]:
    return [answer_to(query, f"{query.question[0].name} 60 IN A 192.0.2.1").to_wire()]


async def test_an_answer_is_read_with_its_chain() -> None:
    def chained(query: dns.message.Message) -> list[bytes]:
        name = query.question[0].name
        lines = [f"{name} 60 IN CNAME www.example.net.", "www.example.net. 30 IN A 192.0.2.1"]
        return [answer_to(query, *reversed(lines), "planted.example. 60 IN A 192.0.2.66").to_wire()]

    async with fake(chained) as (_, upstream):
        resolution = await exchange(upstream, NAME, Type.A, timeout=5)
    assert [records.record_text(r) for r in resolution.answers] == [
        "example.com.\t60\tIN\tCNAME\twww.example.net.",
        "www.example.net.\t30\tIN\tA\t192.0.2.1",
    ]


async def test_every_question_has_its_own_id_port_and_spelling() -> None:
    async with fake(good) as (server, upstream):
        for _ in range(12):
            await exchange(upstream, wire.name_from_text("a-rather-long-name.example.com"), Type.A, timeout=5)
    assert len({query.id for query in server.queries}) > 8
    assert len(set(server.ports)) > 8
    assert len({str(query.question[0].name) for query in server.queries}) > 8


async def test_wrong_ids_and_wrong_questions_are_passed_over() -> None:
    def lying(query: dns.message.Message) -> list[bytes]:
        truth = good(query)[0]
        wrong_id = bytes((truth[0] ^ 1,)) + truth[1:]
        other = answer_to(dns.message.make_query("other.com", "A", id=query.id), "other.com. 60 IN A 192.0.2.66")
        return [wrong_id, other.to_wire(), b"", b"\x00" * 5, query.to_wire(), truth]

    async with fake(lying) as (_, upstream):
        resolution = await exchange(upstream, NAME, Type.A, timeout=5)
    assert [r.rdata for r in resolution.answers] == [bytes((192, 0, 2, 1))]


async def test_a_liar_alone_is_no_answer() -> None:
    def lying(query: dns.message.Message) -> list[bytes]:
        truth = good(query)[0]
        return [bytes((truth[0] ^ 1,)) + truth[1:]] * 30

    async with fake(lying) as (_, upstream):
        with pytest.raises(UpstreamFailed, match="other questions"):
            await exchange(upstream, NAME, Type.A, timeout=5)


@pytest.mark.parametrize("change", ["cut", "lower-case"])
async def test_a_cut_or_respelled_answer_is_asked_for_by_tcp(change: str) -> None:
    def udp(query: dns.message.Message) -> list[bytes]:
        if change == "cut":
            return [answer_to(query, flags=dns.flags.TC).to_wire()]
        plain = dns.message.make_query(str(query.question[0].name).lower(), "A", id=query.id)
        return [answer_to(plain, "example.com. 60 IN A 192.0.2.66").to_wire()]

    name = wire.name_from_text("abcdefghijklmnopqrstuvwxyz.example.com")
    async with fake(udp, good) as (_, upstream):
        resolution = await exchange(upstream, name if change == "cut" else NAME, Type.A, timeout=5)
    assert resolution.answers[0].rdata[3] in ((1,) if change == "cut" else (1, 66))


def test_any_is_answered_with_everything_at_the_name() -> None:
    query = dns.message.make_query("example.com", "ANY", id=7, use_edns=True)
    reply = answer_to(
        query, "example.com. 60 IN A 192.0.2.7", "example.com. 60 IN TXT x", "b.example. 9 IN A 192.0.2.8"
    )
    question = NAME + wire.pack16(Type.ANY, wire.IN)
    said = read_answer(reply.to_wire(), identifier=7, question=question, by_udp=True)
    assert [record.type for record in said.answers] == [Type.A, Type.TXT]


@pytest.mark.parametrize("type_", [Type.CNAME, Type.NS, Type.PTR, Type.MX, Type.SRV])
def test_data_that_goes_on_behind_its_name_is_no_answer(type_: Type) -> None:
    question = NAME + wire.pack16(type_, wire.IN)
    before = {Type.MX: b"\0\1", Type.SRV: bytes(6)}.get(type_, b"")
    head = wire.pack16(7) + wire.header_bytes(wire.FLAG_QR, answers=1)
    right, wrong = (wire.encode_record(NAME, type_, 60, before + NAME + rest) for rest in (b"", b"more"))
    assert read_answer(head + question + right, identifier=7, question=question, by_udp=True).answers
    with pytest.raises(BadMessage):
        read_answer(head + question + wrong, identifier=7, question=question, by_udp=True)


def test_records_of_another_class_are_left_out() -> None:
    question = NAME + wire.pack16(Type.A, wire.IN)
    record = NAME + wire.pack16(Type.A, 3) + wire.pack32(60) + wire.pack16(4) + bytes(4)
    message = wire.pack16(7) + wire.header_bytes(wire.FLAG_QR, answers=1) + question + record
    assert read_answer(message, identifier=7, question=question, by_udp=True).answers == ()


async def test_silence_and_closed_ports_are_told_apart_from_answers() -> None:
    async with fake(lambda _: []) as (_, silent):
        with pytest.raises(UpstreamFailed, match="no answer within"):
            await exchange(silent, NAME, Type.A, timeout=0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        closed = Upstream(*sock.getsockname())
    with pytest.raises(UpstreamFailed, match="refused"):
        await exchange(closed, NAME, Type.A, timeout=5)


def test_broken_answers_are_bad_messages() -> None:
    query = wire.encode_query(7, NAME, Type.A)
    question = query[12 : 12 + len(NAME) + 4]
    head = b"\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + question
    for body in (b"", b"\xc0", b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x05\x01\x02\x03\x04\x05", b"\xff" * 40):
        with pytest.raises(BadMessage):
            read_answer(head + body, identifier=7, question=question, by_udp=True)
    with pytest.raises(AskByTcp):
        read_answer(head[:2] + b"\x83" + head[3:], identifier=7, question=question, by_udp=True)


ROUTE = Route(".", (A, B), "sequential", ForwardTuning(), CacheTuning())


# Several upstreams, and the cache between


class Asked:
    """Stands for `exchange`: what each upstream says, and who was asked."""

    def __init__(self, **says: Resolution | None) -> None:
        self.says = {A: says.get("a"), B: says.get("b")}
        self.calls: list[Upstream] = []
        self.hows: list[dict[str, Any]] = []
        self.gate: asyncio.Event | None = None
        self.hangs: set[Upstream] = set()

    async def __call__(self, upstream: Upstream, name: bytes, qtype: int, **how: Any) -> Resolution:
        self.calls.append(upstream)
        self.hows.append(how)
        if self.gate is not None:
            await self.gate.wait()
        if upstream in self.hangs:
            await asyncio.get_running_loop().create_future()
        says = self.says[upstream]
        if says is None:
            raise UpstreamFailed(f"{upstream}: dead")
        return says


GOOD = Resolution(Rcode.NOERROR, (records.address(NAME, 60, bytes((192, 0, 2, 1))),))
FAILED = Resolution(Rcode.SERVFAIL)


def forwarding(asked: Asked, *, size: int = 100, policy: str = "sequential", **more: Any) -> Forwarding:
    return Forwarding([A, B], Cache(CacheTuning(size=size)), policy=policy, ask=asked, **more)


async def test_a_dead_upstream_is_passed_over_and_then_left_out() -> None:
    asked = Asked(b=GOOD)
    forward = forwarding(asked, size=0)
    for _ in range(3):
        assert await forward.resolve(NAME, Type.A) == GOOD
    assert asked.calls == [A, B, A, B, B]


async def test_a_slow_upstream_gets_company_and_is_left_out_when_overtaken() -> None:
    asked = Asked(b=GOOD)
    asked.hangs.add(A)
    forward = forwarding(asked, size=0, hedge_seconds=0.001)
    for _ in range(3):
        assert await forward.resolve(NAME, Type.A) == GOOD
    assert asked.calls == [A, B, A, B, B]


@pytest.mark.parametrize("failing", [A, B])
async def test_a_failure_in_the_moment_another_answers_is_counted_once_and_taken_note_of(failing: Upstream) -> None:
    rounds, both, told, missed = 20, asyncio.Barrier(2), list[Upstream](), list[dict[str, Any]]()

    async def ask(upstream: Upstream, *_: Any, **__: Any) -> Resolution:
        told.append(upstream)
        await both.wait()
        if upstream is failing:
            raise UpstreamFailed("no")
        return GOOD

    asyncio.get_running_loop().set_exception_handler(lambda _, context: missed.append(context))
    cache, tuning = Cache(CacheTuning(size=0)), ForwardTuning(max_fails=0)
    forward = Forwarding([A, B], cache, policy="sequential", tuning=tuning, ask=ask, hedge_seconds=0)
    for _ in range(rounds):
        assert await forward.resolve(NAME, Type.A) == GOOD
    gc.collect()

    assert len(told) == 2 * rounds
    assert {health.upstream: health.failures for health in forward._health}[failing] == rounds
    assert missed == []


async def test_a_stale_answer_is_better_than_none() -> None:
    asked = Asked(a=Resolution(Rcode.NOERROR, (records.address(NAME, 1, bytes((192, 0, 2, 1))),)))
    clock = VirtualClock()
    forward = forwarding(asked, clock=clock)
    fresh = await forward.resolve(NAME, Type.A)
    asked.says[A] = None
    await clock.advance(60)
    stale = await forward.resolve(NAME, Type.A)
    assert stale.answers[0].rdata == fresh.answers[0].rdata
    assert stale.answers[0].ttl == 30
    assert forward.counts().served_stale == 1


async def test_a_servfail_is_asked_of_the_next() -> None:
    asked = Asked(a=FAILED, b=GOOD)
    assert await forwarding(asked).resolve(NAME, Type.A) == GOOD


async def test_when_all_are_dead_the_client_hears_servfail_and_each_time_someone_is_tried() -> None:
    asked = Asked()
    forward = forwarding(asked, size=0)
    for _ in range(4):
        assert (await forward.resolve(NAME, Type.A)).rcode == Rcode.SERVFAIL
    assert len(asked.calls) >= 4
    asked.says[A] = GOOD
    assert await forward.resolve(NAME, Type.A) == GOOD
    assert forward.counts().health_broken >= 1


async def test_the_cache_answers_the_second_time_and_the_same_question_is_asked_once_at_a_time() -> None:
    asked = Asked(a=GOOD)
    asked.gate = asyncio.Event()
    forward = forwarding(asked)
    waiting = [asyncio.create_task(forward.resolve(NAME, Type.A)) for _ in range(5)]
    await asyncio.sleep(0)
    asked.gate.set()
    assert await asyncio.gather(*waiting) == [GOOD] * 5
    assert await forward.resolve(NAME, Type.A) == GOOD
    assert asked.calls == [A]
    assert forward.counts().cache_hits == 1


async def test_round_robin_takes_turns() -> None:
    asked = Asked(a=GOOD, b=GOOD)
    forward = forwarding(asked, size=0, policy="round_robin")
    for _ in range(4):
        await forward.resolve(NAME, Type.A)
    assert asked.calls in ([A, B, A, B], [B, A, B, A])


async def test_questions_beyond_the_bound_are_refused() -> None:
    asked = Asked(a=GOOD)
    asked.gate = asyncio.Event()
    forward = forwarding(asked, tuning=ForwardTuning(max_concurrent=1))
    waiting = asyncio.create_task(forward.resolve(NAME, Type.A))
    await asyncio.sleep(0)
    assert (await forward.resolve(NAME, Type.AAAA)).rcode == Rcode.REFUSED
    asked.gate.set()
    assert await waiting == GOOD
    assert forward.counts().rejects == 1


async def test_with_no_bound_on_failures_no_upstream_is_left_out() -> None:
    asked = Asked(b=GOOD)
    forward = forwarding(asked, size=0, tuning=ForwardTuning(max_fails=0))
    for _ in range(4):
        await forward.resolve(NAME, Type.A)
    assert asked.calls == [A, B] * 4


async def test_the_codes_to_turn_away_from_can_be_named() -> None:
    missing = Resolution(Rcode.NXDOMAIN)
    asked = Asked(a=missing, b=GOOD)
    assert await forwarding(asked, tuning=ForwardTuning(failover=(Rcode.NXDOMAIN,))).resolve(NAME, Type.A) == GOOD
    # What is not named is an answer, and the last word counts when all have spoken.
    asked = Asked(a=FAILED, b=GOOD)
    assert await forwarding(asked, tuning=ForwardTuning(failover=(Rcode.NXDOMAIN,))).resolve(NAME, Type.A) == FAILED
    asked = Asked(a=missing, b=missing)
    assert await forwarding(asked, tuning=ForwardTuning(failover=(Rcode.NXDOMAIN,))).resolve(NAME, Type.A) == missing
    assert asked.calls == [A, B]


async def test_tries_are_bounded() -> None:
    asked = Asked(b=GOOD)
    assert (await forwarding(asked, tuning=ForwardTuning(tries=1)).resolve(NAME, Type.A)).rcode == Rcode.SERVFAIL
    assert asked.calls == [A]


async def test_with_every_upstream_out_nobody_needs_to_be_tried() -> None:
    asked = Asked()
    forward = forwarding(asked, size=0, tuning=ForwardTuning(give_up=True))
    for _ in range(4):
        assert (await forward.resolve(NAME, Type.A)).rcode == Rcode.SERVFAIL
    assert len(asked.calls) == 4
    assert forward.counts().health_broken == 2


@pytest.mark.parametrize("recursive", [True, False])
async def test_probes_ask_about_the_name_and_in_the_way_they_are_told(recursive: bool) -> None:
    probed: list[dns.message.Message] = []

    def answer(query: dns.message.Message) -> list[bytes]:
        if query.question[0].rdtype == dns.rdatatype.NS:
            probed.append(query)
        return [answer_to(query).to_wire()] if probed else []

    async with fake(answer) as (_, upstream):
        tuning = ForwardTuning(max_fails=1, probe=0.001, probe_name="probe.example", probe_recursive=recursive)
        forward = Forwarding([upstream], Cache(CacheTuning()), tuning=tuning)
        forward._health[0].failures = 1
        running = asyncio.create_task(forward.run())
        async with asyncio.timeout(20):
            while not forward._health[0].is_up or not probed:
                await asyncio.sleep(0.001)
        running.cancel()
    assert {str(query.question[0].name).lower() for query in probed} == {"probe.example."}
    assert {bool(query.flags & dns.flags.RD) for query in probed} == {recursive}


async def test_each_zone_has_a_policy_of_its_own() -> None:
    options = DnsOptions(
        upstreams=("192.0.2.1",), stub_domains=(("a.example", ("192.0.2.2",)), ("b.example", ("192.0.2.3",))),
        policy="round_robin", forward=(("a.example", ForwardTuning(policy="sequential")),),
    )  # fmt: skip
    assert {route.zone: route.policy for route in routes_of(options)} == {
        "a.example": "sequential", "b.example": "round_robin", ".": "round_robin",
    }  # fmt: skip


async def test_a_route_that_stays_keeps_its_cache_and_one_that_goes_ends_what_it_began() -> None:
    stays, goes = Route("example.com", (A,), "random", ForwardTuning(), CacheTuning()), ROUTE
    asked, slow = Asked(a=GOOD), Asked(a=GOOD)
    before = Routes({stays: forwarding(asked), goes: forwarding(slow)})
    await before.resolve(NAME, Type.A)
    slow.gate = asyncio.Event()
    waiting = asyncio.create_task(before.resolve(wire.name_from_text("example.org"), Type.A))
    await asyncio.sleep(0)
    after = before.followed_by([stays])
    assert await after.resolve(NAME, Type.A) == GOOD
    assert asked.calls == [A]
    ending = asyncio.create_task(before.retire(after))
    await asyncio.sleep(0)
    assert not ending.done()
    slow.gate.set()
    assert await waiting == GOOD
    await ending
    counts = after.counts(0)
    assert counts is not None
    assert (counts.cache_entries, counts.cache_hits, counts.cache_misses) == (1, 1, 2)


async def test_excepted_names_are_not_asked_about() -> None:
    asked = Asked(a=GOOD)
    tuning = ForwardTuning(excepted=("example.com",))
    routes = Routes({ROUTE: forwarding(asked, tuning=tuning)})
    assert (await routes.resolve(NAME, Type.A)).rcode == Rcode.REFUSED
    assert asked.calls == []


async def test_a_stale_answer_can_come_before_the_upstream_was_waited_for() -> None:
    asked = Asked(a=Resolution(Rcode.NOERROR, (records.address(NAME, 1, bytes((192, 0, 2, 1))),)))
    clock = VirtualClock()
    forward = forwarding(asked, clock=clock, stale_patience=0.0)
    await forward.resolve(NAME, Type.A)
    await clock.advance(60)
    asked.gate = asyncio.Event()
    assert (await forward.resolve(NAME, Type.A)).answers[0].ttl == 30
    await forward.close()


async def test_tcp_can_be_forced() -> None:
    async with fake(lambda _: [], good) as (server, upstream):
        resolution = await exchange(upstream, NAME, Type.A, timeout=5, by_tcp=True)
    assert resolution.answers
    assert server.queries == []


async def test_a_server_that_is_its_own_upstream_finds_out() -> None:
    forward = forwarding(Asked(a=GOOD))
    probe = forward._probe_name
    assert (await forward.resolve(probe, Type.HINFO)).rcode == Rcode.SERVFAIL
    assert (await forward.resolve(NAME, Type.A)).rcode == Rcode.SERVFAIL


# How upstreams are named


def test_addresses_of_upstreams() -> None:
    assert parse_upstream("192.0.2.1") == ("192.0.2.1", 53)
    assert parse_upstream("192.0.2.1:5353") == ("192.0.2.1", 5353)
    assert parse_upstream("fd00::1") == ("fd00::1", 53)
    assert parse_upstream("[fd00::1]:5353") == ("fd00::1", 5353)
    for wrong in ("dns.example", "192.0.2.1:x", "192.0.2.1:0", "", "[fd00::1"):
        with pytest.raises(ValueError, match="upstream"):
            parse_upstream(wrong)


def test_upstreams_from_a_resolv_conf(tmp_path: Any) -> None:
    text = "# comment\nsearch a b\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver\nnameserver x\n"
    assert parse_resolv_conf(text) == [("192.0.2.1", 53), ("fe80::1", 53)]
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    assert read_upstreams([str(path), "192.0.2.1", "192.0.2.9"]) == [
        ("192.0.2.1", 53),
        ("fe80::1", 53),
        ("192.0.2.9", 53),
    ]
    path.write_text("")
    with pytest.raises(ValueError, match="no nameserver"):
        read_upstreams([str(path)])
