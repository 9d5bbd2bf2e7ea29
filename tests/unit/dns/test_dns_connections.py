"""TCP connections to upstreams: kept, given up, replaced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.message
import pytest

from kubesvc.dns import wire
from kubesvc.dns.connections import Connections
from kubesvc.dns.nameservers import Upstream
from kubesvc.dns.upstream import UpstreamFailed, exchange
from kubesvc.dns.wire import Type
from kubesvc.testing.clock import VirtualClock

NAME = wire.name_from_text("example.com")


class Server:
    """Answers questions on connections that it counts; `answers_each` ends each after so many."""

    def __init__(self) -> None:
        self.connections = 0
        self.answers_each = 1_000
        self.chatty = False
        self.gate: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for _ in range(self.answers_each):
                size = int.from_bytes(await reader.readexactly(2), "big")
                reply = dns.message.make_response(dns.message.from_wire(await reader.readexactly(size))).to_wire()
                if self.gate is not None:
                    await self.gate.wait()
                # Whoever says more than was asked is not listened to twice.
                for _ in range(2 if self.chatty else 1):
                    writer.write(len(reply).to_bytes(2, "big") + reply)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, Upstream]]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    try:
        yield server, Upstream(*listening.sockets[0].getsockname())
    finally:
        listening.close()


async def ask(upstream: Upstream, connections: Connections) -> None:
    await exchange(upstream, NAME, Type.A, timeout=5, by_tcp=True, connections=connections)


async def test_one_connection_serves_many_questions_for_its_time() -> None:
    clock = VirtualClock()
    connections = Connections(expire=10.0, clock=clock)
    async with serving() as (server, upstream):
        for _ in range(3):
            await ask(upstream, connections)
            await clock.advance(9.0)
        assert server.connections == 1
        await clock.advance(1.0)
        await ask(upstream, connections)
        assert server.connections == 2
        connections.close()


async def test_one_that_the_other_side_has_closed_is_replaced_unseen() -> None:
    connections = Connections(expire=10.0)
    async with serving() as (server, upstream):
        server.answers_each = 1
        for _ in range(3):
            await ask(upstream, connections)
        assert server.connections == 3
        connections.close()


async def test_one_on_which_something_else_comes_is_given_up() -> None:
    connections = Connections(expire=10.0)
    async with serving() as (server, upstream):
        server.chatty = True
        await ask(upstream, connections)
        await ask(upstream, connections)
        assert server.connections == 2
        connections.close()


async def test_questions_at_the_same_time_have_connections_of_their_own_and_few_are_kept() -> None:
    connections = Connections(expire=10.0, most_idle=1)
    async with serving() as (server, upstream):
        server.gate = asyncio.Event()
        asking = [asyncio.create_task(ask(upstream, connections)) for _ in range(3)]
        while server.connections < 3:
            await asyncio.sleep(0)
        server.gate.set()
        await asyncio.gather(*asking)
        asking = [asyncio.create_task(ask(upstream, connections)) for _ in range(2)]
        await asyncio.gather(*asking)
        assert server.connections == 4
        connections.close()


async def test_after_closing_none_is_kept() -> None:
    connections = Connections(expire=10.0)
    connections.close()
    async with serving() as (server, upstream):
        await ask(upstream, connections)
        await ask(upstream, connections)
        assert server.connections == 2


async def test_an_upstream_that_is_not_there_is_a_failure() -> None:
    async with serving() as (_, upstream):
        pass
    with pytest.raises(UpstreamFailed, match="Connect call failed|refused"):
        await ask(upstream, Connections(expire=10.0))
