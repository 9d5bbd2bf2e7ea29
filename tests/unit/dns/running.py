"""A whole DNS server on loopback sockets, and ways to ask it."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message

from kubesvc.client.rest import Client
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.run import run
from kubesvc.testing.local import LocalTransport

WEB = "web.default.svc.cluster.local"
DEADLINE = 20.0


def free_port() -> int:
    """A port free for both transports, below those the kernel hands out to connecting sockets."""
    while True:
        port = random.randrange(10_240, 32_000)
        with suppress(OSError), socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("0.0.0.0", port))
            udp.bind(("0.0.0.0", port))
            return port


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await condition():
            await asyncio.sleep(0.005)


class Running:
    def __init__(self, options: DnsOptions, api: LocalTransport) -> None:
        self.options = options
        self.api = api
        self.task: asyncio.Task[None] | None = None

    async def ask(
        self, name: str, qtype: str = "A", *, tcp: bool = False, at: str = "127.0.0.1"
    ) -> dns.message.Message:
        query = dns.message.make_query(name, qtype)
        how = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        return await how(query, at, port=self.options.port, timeout=DEADLINE)

    async def answers(self, name: str, qtype: str = "A", *, at: str = "127.0.0.1") -> list[str]:
        return [str(rdata) for rrset in (await self.ask(name, qtype, at=at)).answer for rdata in rrset]

    async def page(self, port: int, path: str, method: str = "GET") -> tuple[int, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = (await reader.read()).decode()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        if not answer:
            raise ConnectionResetError("no answer")
        return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]

    async def is_ready(self) -> bool:
        with suppress(OSError):
            return (await self.page(self.options.ready_port, "/ready"))[0] == 200
        return False


@asynccontextmanager
async def running(api: LocalTransport, *, wait: bool = True, **more: Any) -> AsyncIterator[Running]:
    settings: dict[str, Any] = {"lameduck": 0.0, "bind": "127.0.0.1"} | more
    port, health, ready, metrics = (free_port() for _ in range(4))
    options = DnsOptions(
        port=port, health_port=health, ready_port=ready, metrics_port=metrics, **settings
    )  # fmt: skip
    server = Running(options, api)
    server.task = asyncio.create_task(run(options, client=Client(api)))
    try:
        if wait:
            await until(server.is_ready)
        yield server
    finally:
        server.task.cancel()
        with suppress(asyncio.CancelledError):
            await server.task


def children() -> set[int]:
    found: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has ended since
            found |= set(map(int, (thread / "children").read_text().split()))
    return found
