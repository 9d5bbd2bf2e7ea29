"""A changed Corefile is followed without a question lost: UDP, TCP, connections that are kept."""

import asyncio
import gc
import os
import signal
import socket
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import dns.message
import dns.rcode
import pytest
from tests.unit.dns.running import DEADLINE, WEB, Running, children, free_port, running, until

from kubesvc.client.rest import Client
from kubesvc.dns.answering import make_responder, succeed_responder
from kubesvc.dns.following import Follower
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.rows import NamespaceRow, ServiceRow, unpack
from kubesvc.dns.run import Server, run
from kubesvc.testing.builders import namespace, pod, service
from kubesvc.testing.local import LocalTransport

RELOADS = 5
COREFILE = """
.:{port} {{
    bind {bind}
    ready 127.0.0.1:{ready}
    prometheus 127.0.0.1:{metrics}
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        ttl {ttl}
        pods {pods}
    }}
    hosts {{
        192.0.2.{host} seven.example
        fallthrough
    }}
    {more}
    reload {reload} 0s
}}
"""


class Configured:
    """A server that follows a Corefile, and the settings last written to it."""

    def __init__(self, directory: Path, api: LocalTransport, *, workers: int = 0, reload: str = "10ms") -> None:
        self.file = directory / "Corefile"
        self.settings: dict[str, object] = {
            "bind": "127.0.0.1", "port": free_port(), "ready": free_port(), "metrics": free_port(),
            "domain": "cluster.local", "ttl": 5, "pods": "insecure", "host": 7, "more": "", "reload": reload,
        }  # fmt: skip
        self.write()
        options = DnsOptions(
            port=self.port, ready_port=int(str(self.settings["ready"])), corefile=self.file, workers=workers
        )  # fmt: skip
        self.server = Running(options, api)

    @property
    def port(self) -> int:
        return int(str(self.settings["port"]))

    def write(self, **settings: object) -> None:
        """At once, as a mounted ConfigMap changes."""
        self.settings |= settings
        new = self.file.with_suffix(".new")
        new.write_text(COREFILE.format_map(self.settings))
        new.rename(self.file)

    async def says(self, host: int) -> bool:
        """Whether the fixed name has this address, whichever worker is asked."""
        return all([await self.server.answers("seven.example") == [f"192.0.2.{host}"] for _ in range(8)])

    async def gone(self, address: str) -> bool:
        """Whether nobody answers there."""
        with suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection(address, self.port)
            writer.close()
            return False
        return True

    async def metric(self, name: str) -> str:
        _, page = await self.server.page(int(str(self.settings["metrics"])), "/metrics")
        return next(line.rpartition(" ")[2] for line in page.splitlines() if line.startswith(name))


@asynccontextmanager
async def configured(directory: Path, *, workers: int = 0, reload: str = "10ms") -> AsyncIterator[Configured]:
    api = LocalTransport(namespace("default"), service("web", cluster_ip="10.96.0.7"))
    configured = Configured(directory, api, workers=workers, reload=reload)
    task = asyncio.create_task(run(configured.server.options, client=Client(api)))
    try:
        await until(configured.server.is_ready)
        yield configured
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Asker:
    """Asks for WEB a thousand times a second, and remembers what it heard."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked = 0
        self.heard: dict[int, dns.rcode.Rcode] = {}
        self._stop = asyncio.Event()

    @property
    def lost(self) -> int:
        return self.asked - len(self.heard)

    @property
    def rcodes(self) -> set[str]:
        return {dns.rcode.to_text(rcode) for rcode in self.heard.values()}

    def stop(self) -> None:
        self._stop.set()

    def question(self) -> bytes:
        self.asked += 1
        return dns.message.make_query(WEB, "A", id=self.asked).to_wire()

    def hear(self, wire: bytes) -> None:
        reply = dns.message.from_wire(wire)
        self.heard[reply.id] = reply.rcode()

    async def turns(self) -> AsyncIterator[None]:
        while not self._stop.is_set() and self.asked < 30_000:
            yield
            await asyncio.sleep(0.001)

    async def by_udp(self) -> None:
        """From one socket, as a pod's resolver that is kept busy."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.connect(("127.0.0.1", self.port))
            listening = asyncio.create_task(self._listen(lambda: loop.sock_recv(sock, 4096)))
            async for _ in self.turns():
                await loop.sock_sendall(sock, self.question())
            await self._finish(listening)

    async def by_new_connections(self) -> None:
        async for _ in self.turns():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            query = self.question()
            writer.write(len(query).to_bytes(2, "big") + query)
            async with asyncio.timeout(DEADLINE):
                self.hear(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")))
            writer.close()
            await writer.wait_closed()

    async def by_one_connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)

        async def read() -> bytes:
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))

        listening = asyncio.create_task(self._listen(read))
        async for _ in self.turns():
            query = self.question()
            writer.write(len(query).to_bytes(2, "big") + query)
        await self._finish(listening)
        writer.close()
        await writer.wait_closed()

    async def _listen(self, receive: Callable[[], Awaitable[bytes]]) -> None:
        while True:
            self.hear(await receive())

    async def _finish(self, listening: "asyncio.Task[None]") -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE):
                while self.lost:
                    await asyncio.sleep(0.005)
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


@asynccontextmanager
async def askers(port: int) -> AsyncIterator[None]:
    """Ask in all ways meanwhile; every question has to be answered, and with NOERROR."""
    udp, fresh, kept = everyone = [Asker(port) for _ in range(3)]
    ways = (udp.by_udp(), fresh.by_new_connections(), kept.by_one_connection())
    tasks = [asyncio.create_task(way) for way in ways]
    yield
    for asker in everyone:
        asker.stop()
    await asyncio.gather(*tasks)
    assert [asker.lost for asker in everyone] == [0, 0, 0]
    assert [asker.rcodes for asker in everyone] == [{"NOERROR"}] * 3


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("change", ["upstreams", "ttl", "pods"])
async def test_no_question_is_lost_over_five_reloads(tmp_path: Path, change: str, workers: int) -> None:
    # New upstreams need a new responder only, another TTL a new view as well, verified pods a new watch.
    values: dict[str, list[str]] = {
        "upstreams": [f"forward example 127.0.0.{n}" for n in range(1, RELOADS + 1)],
        "ttl": [str(n) for n in range(10, 10 + RELOADS)],
        "pods": ["verified", "insecure"] * RELOADS,
    }
    async with configured(tmp_path, workers=workers) as server, askers(server.port):
        for n, value in zip(range(RELOADS), values[change], strict=False):
            server.write(host=100 + n, **{"more" if change == "upstreams" else change: value})
            await until(partial(server.says, 100 + n))
            assert await server.server.is_ready()
        if change == "ttl":
            assert (await server.server.ask(WEB)).answer[0].ttl == 9 + RELOADS
        assert await server.metric("coredns_reload_failed_total") == "0"


@pytest.mark.parametrize("workers", [0, 1, 2])
async def test_no_question_is_lost_when_addresses_come_and_go(tmp_path: Path, workers: int) -> None:
    async with configured(tmp_path, workers=workers) as server, askers(server.port):
        for n in range(RELOADS):
            others = [f"127.0.0.{10 + n}", f"127.0.0.{11 + n}"][: 1 + n % 2]
            server.write(bind=" ".join(["127.0.0.1", *others]), host=100 + n, ttl=10 + n // 2)
            await until(partial(server.says, 100 + n))
            for address in others:
                assert await server.server.answers(WEB, at=address) == ["10.96.0.7"]
        assert await server.gone("127.0.0.10")


async def test_the_domain_can_change(tmp_path: Path) -> None:
    async with configured(tmp_path, workers=1) as server:
        server.write(domain="k8s.example")

        async def renamed() -> bool:
            return await server.server.answers("web.default.svc.k8s.example") == ["10.96.0.7"]

        await until(renamed)
        assert await server.server.answers(WEB) == []


async def test_a_file_that_cannot_be_followed_changes_nothing_and_is_counted(tmp_path: Path) -> None:
    async with configured(tmp_path) as server, askers(server.port):
        wrong: list[dict[str, object]] = [
            {"host": 8, "more": "dnssec"},
            {"more": "forward . dns.example"},
            {"more": f"forward . {tmp_path}/resolv.conf"},
            {"more": "", "bind": "192.0.2.1"},  # nobody's address here
        ]
        for number, settings in enumerate(wrong, 1):
            server.write(**settings)

            async def counted(number: int = number) -> bool:
                return await server.metric("coredns_reload_failed_total") == str(number)

            await until(counted)
            assert await server.says(7)
        server.file.unlink()

        async def counted_too() -> bool:
            return await server.metric("coredns_reload_failed_total") == "5"

        await until(counted_too)
        server.write(bind="127.0.0.1", host=9)
        await until(lambda: server.says(9))
        assert await server.metric("coredns_reload_failed_total") == "5"


async def test_what_an_import_says_is_followed_too(tmp_path: Path) -> None:
    async with configured(tmp_path) as server:
        server.write(more="import custom/*.override")
        (tmp_path / "custom").mkdir()
        (tmp_path / "custom" / "names.override").write_text("rewrite name other.example seven.example\n")

        async def followed() -> bool:
            return await server.server.answers("other.example") == ["192.0.2.7"]

        await until(followed)


async def test_pages_move_with_their_ports(tmp_path: Path) -> None:
    async with configured(tmp_path) as server:
        before = server.server.options.ready_port
        after = free_port()
        server.write(ready=after, host=8)
        await until(lambda: server.says(8))
        assert (await server.server.page(after, "/ready"))[0] == 200
        with pytest.raises(OSError, match=str(before)):
            await server.server.page(before, "/ready")


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGUSR1])
async def test_a_signal_has_the_file_read_at_once(tmp_path: Path, signum: signal.Signals) -> None:
    async with configured(tmp_path, reload="1h") as server:
        version = await server.metric("coredns_reload_version_info")
        server.write(host=8)
        os.kill(os.getpid(), signum)
        await until(lambda: server.says(8))
        assert version == "1"


async def test_a_worker_started_after_a_reload_follows_the_new_file(tmp_path: Path) -> None:
    others = children()
    async with configured(tmp_path, workers=1) as server:
        server.write(host=8, ttl=17, bind="127.0.0.1 127.0.0.2")
        await until(lambda: server.says(8))
        (worker,) = children() - others
        os.kill(worker, signal.SIGKILL)

        async def gone() -> bool:
            return worker not in children()

        await until(gone)
        # The question waits in the socket until the next worker knows the answer.
        assert (await server.server.ask(WEB)).answer[0].ttl == 17
        assert await server.server.answers(WEB, at="127.0.0.2") == ["10.96.0.7"]
        assert await server.says(8)


def test_a_responder_whose_place_another_takes_is_gone_without_the_collector() -> None:
    # Workers tell the collector to leave what they hold alone: a cycle would stay for ever.
    before = make_responder(DnsOptions(), serial=1)
    before.apply(NamespaceRow("default"))
    before.answer(dns.message.make_query(WEB, "A").to_wire())
    gone = weakref.ref(before.view)
    gc.disable()
    try:
        after = succeed_responder(before, DnsOptions(ttl=9), fresh=True)
        del before
        assert gone() is None
    finally:
        gc.enable()
    assert after.view.policy.ttl == 9


async def test_pods_that_are_verified_are_known_to_a_worker_that_comes_later() -> None:
    api = LocalTransport(namespace("default"), pod("web", ip="10.244.0.7", phase="Running"))
    others = children()
    async with running(api, workers=1, pods="verified") as server:
        name = "10-244-0-7.default.pod.cluster.local"
        assert await server.answers(name) == ["10.244.0.7"]
        (worker,) = children() - others
        os.kill(worker, signal.SIGKILL)

        async def gone() -> bool:
            return worker not in children()

        await until(gone)
        assert await server.answers(name) == ["10.244.0.7"]


async def test_a_config_map_that_is_wrong_does_not_keep_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "stubDomains").write_text("{")
    api = LocalTransport(namespace("default"), service("web", cluster_ip="10.96.0.7"))
    async with running(api, config_dir=tmp_path) as server:
        assert await server.answers(WEB) == ["10.96.0.7"]
        _, page = await server.page(server.options.metrics_port, "/metrics")
        assert "coredns_reload_failed_total 1" in page.splitlines()
        async with running(api, domain="corp.example") as corp:
            upstream = f"127.0.0.1:{corp.options.port}"
            (tmp_path / "stubDomains").write_text(f'{{"corp.example": ["{upstream}"]}}')
            os.kill(os.getpid(), signal.SIGHUP)

            async def followed() -> bool:
                return await server.answers("web.default.svc.corp.example") == ["10.96.0.7"]

            await until(followed)


class Replaced:
    """Answers like a crew of which a worker has just died; knows what it would be filled with at a change."""

    ready = False

    def __init__(self, options: DnsOptions, *, serial: int, replay: Callable[[Callable[[bytes], None]], None]) -> None:
        self.replay = replay
        self.filled: list[bytes] = []

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def change(self, options: DnsOptions, *, fresh: bool) -> None:
        self.replay(self.filled.append)

    def take(self, packed: bytes) -> None: ...

    def finish_loading(self) -> None: ...


async def test_another_watch_takes_over_complete_while_a_worker_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubesvc.dns.run.InProcess", Replaced)
    api = LocalTransport(namespace("default"), service("web", cluster_ip="10.96.0.7"))
    options = DnsOptions(health_port=0, ready_port=0, metrics_port=0)
    server = Server(Follower(options), Client(api))
    assert isinstance(server.answering, Replaced)
    with suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            server.start(group)
            await server._watch.feed.synced()
            await server._change(replace(options, pods="verified"), group)
            assert any(isinstance(unpack(row), ServiceRow) for row in server.answering.filled)
            raise asyncio.CancelledError
