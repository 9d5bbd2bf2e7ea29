"""Connections that misbehave: idle, trickling, too many, cut, never reading."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import dns.message
import dns.rcode

from kubesvc.dns import wire
from kubesvc.dns.meter import Meter
from kubesvc.dns.responder import Pending, Responder
from kubesvc.dns.server import Forwarder
from kubesvc.dns.tcp import Connection, TcpServer
from kubesvc.dns.view import Policy, View
from kubesvc.testing.builders import endpoint_slice, service

QUERY = dns.message.make_query("web.default.svc.cluster.local", "A").to_wire()


async def no_upstream(_: Pending) -> bytes:
    raise AssertionError("nothing is to be forwarded here")


@asynccontextmanager
async def listening(server: Any, *, max_pending: int = 1, **limits: Any) -> AsyncIterator[tuple[TcpServer, int]]:
    server.put(service("web"))
    forwarder = Forwarder(server.responder, no_upstream, max_pending=max_pending)
    tcp = TcpServer(server.responder, Meter(), forwarder, **limits)
    streams = await asyncio.get_running_loop().create_server(lambda: Connection(tcp), "127.0.0.1", 0)
    upkeep = asyncio.create_task(tcp.watch_idle())
    try:
        yield tcp, streams.sockets[0].getsockname()[1]
    finally:
        upkeep.cancel()
        streams.close()
        tcp.close()
        await streams.wait_closed()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, *messages: bytes) -> None:
        self.writer.write(b"".join(len(m).to_bytes(2, "big") + m for m in messages))

    async def receive(self) -> bytes:
        async with asyncio.timeout(20):
            return await self.reader.readexactly(int.from_bytes(await self.reader.readexactly(2), "big"))

    async def is_closed_by_the_server(self) -> bool:
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                return await self.reader.read() == b""
            return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


async def test_a_silent_connection_is_closed(server: Any) -> None:
    async with listening(server, idle_seconds=0.02) as (_, port):
        client = await Client.connect(port)
        assert await client.is_closed_by_the_server()
        await client.close()


async def test_bytes_that_never_make_a_question_do_not_keep_it_open(server: Any) -> None:
    async with listening(server, idle_seconds=0.1) as (_, port):
        client = await Client.connect(port)

        async def trickle() -> None:
            with suppress(ConnectionError):
                for byte in b"\xff" * 10_000:
                    client.writer.write(bytes((byte,)))
                    await client.writer.drain()
                    await asyncio.sleep(0.001)

        trickling = asyncio.create_task(trickle())
        assert await client.is_closed_by_the_server()
        trickling.cancel()
        await client.close()


async def test_a_length_too_short_for_any_question_ends_the_connection(server: Any) -> None:
    async with listening(server) as (_, port):
        client = await Client.connect(port)
        client.writer.write(b"\x00\x05hello")
        assert await client.is_closed_by_the_server()
        await client.close()


async def test_a_length_too_great_for_any_question_ends_the_connection(server: Any) -> None:
    async with listening(server) as (_, port):
        client = await Client.connect(port)
        client.writer.write(b"\xff\xff")
        assert await client.is_closed_by_the_server()
        await client.close()


async def test_of_the_clients_that_do_not_read_only_a_few_are_kept(server: Any) -> None:
    addresses = [f"10.1.{n // 250}.{n % 250 + 1}" for n in range(3000)]
    server.put(service("many", cluster_ip="None"), endpoint_slice("many", *addresses))
    query = dns.message.make_query("many.default.svc.cluster.local", "A").to_wire()
    async with listening(server, max_stalled=2) as (tcp, port):
        clients: list[Client] = []
        stalled: list[Connection] = []
        while len(clients) < 3:
            clients.append(await Client.connect(port))
            clients[-1].send(*[query] * 400)
            async with asyncio.timeout(20):
                while not (new := tcp._stalled.keys() - set(stalled)):
                    await asyncio.sleep(0)
            stalled += new
        assert len(tcp.connections) == 2
        assert stalled[2] in tcp.connections
        for _ in range(400):
            assert len(await clients[2].receive()) > 48_000
        assert stalled[2] not in tcp._stalled
        for client in clients:
            await client.close()


async def test_when_there_are_too_many_the_longest_idle_one_goes(server: Any) -> None:
    async with listening(server, max_connections=3) as (tcp, port):
        clients = [await Client.connect(port) for _ in range(3)]
        for client in clients:
            client.send(QUERY)
            await client.receive()
        clients[0].send(QUERY)
        await clients[0].receive()
        clients.append(await Client.connect(port))
        clients[3].send(QUERY)
        assert await clients[3].receive()
        assert await clients[1].is_closed_by_the_server()
        assert len(tcp.connections) == 3
        for client in clients:
            await client.close()


async def test_a_question_in_pieces_is_answered_when_it_is_whole(server: Any) -> None:
    async with listening(server) as (_, port):
        client = await Client.connect(port)
        framed = len(QUERY).to_bytes(2, "big") + QUERY
        for byte in framed:
            client.writer.write(bytes((byte,)))
            await client.writer.drain()
        assert (await client.receive())[:2] == QUERY[:2]
        await client.close()


async def test_questions_too_many_for_the_upstreams_are_refused_once_each(server: Any) -> None:
    server.responder = Responder(View(Policy()), forwarded=[(wire.ROOT, [])])
    server.responder.synced = True
    foreign = dns.message.make_query("www.example.org", "A").to_wire()[2:]
    async with listening(server, max_pending=0) as (tcp, port):
        client = await Client.connect(port)
        client.send(*(bytes((0, number)) + foreign for number in range(5)))
        replies = [await client.receive() for _ in range(5)]
        assert [reply[1] for reply in replies] == list(range(5))
        assert {reply[3] & 0xF for reply in replies} == {dns.rcode.SERVFAIL}
        client.send(QUERY)
        assert (await client.receive())[:2] == QUERY[:2]
        assert tcp.forwarder.rejected == 5
        await client.close()


async def test_a_client_that_asks_no_more_is_let_go_with_its_last_answer(server: Any) -> None:
    server.responder = Responder(View(Policy()), forwarded=[(wire.ROOT, [])])
    server.responder.synced = True
    foreign = dns.message.make_query("www.example.org", "A").to_wire()

    async def late(pending: Pending) -> bytes:
        await asyncio.sleep(0.1)  # by then the client's end is known
        return bytes(server.responder.give_up(pending))

    async with listening(server, max_pending=9, idle_seconds=3600) as (tcp, port):
        tcp.forwarder._forward = late
        client = await Client.connect(port)
        client.send(foreign, foreign)
        client.writer.write_eof()
        assert [(await client.receive())[:2] for _ in range(2)] == [foreign[:2]] * 2
        assert await client.is_closed_by_the_server()
        await client.close()


async def test_a_client_that_asks_and_does_not_read_is_not_read_from(server: Any) -> None:
    addresses = [f"10.1.{n // 250}.{n % 250 + 1}" for n in range(3000)]
    server.put(service("many", cluster_ip="None"), endpoint_slice("many", *addresses))
    query = dns.message.make_query("many.default.svc.cluster.local", "A").to_wire()
    async with listening(server) as (tcp, port):
        client = await Client.connect(port)
        client.send(*[query] * 400)
        while not any(not connection._writable for connection in tcp.connections):
            await asyncio.sleep(0)
        (connection,) = tcp.connections
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() < 1 << 20
        for _ in range(400):
            assert len(await client.receive()) > 48_000
        await client.close()
