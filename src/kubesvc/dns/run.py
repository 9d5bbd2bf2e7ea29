"""Putting the parts together: `run` is the whole DNS server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from kubesvc.aio.clock import SystemClock
from kubesvc.aio.pages import Page, serve_pages
from kubesvc.client.rest import Client
from kubesvc.dns.answering import Answering, InProcess
from kubesvc.dns.corefile import CorefileError, read_corefile
from kubesvc.dns.crew import Crew
from kubesvc.dns.feed import Feed, FeedOptions
from kubesvc.dns.metrics import FeedCounts, render
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.rows import Row
from kubesvc.observe import METRICS_TYPE, log

__all__ = ["DnsOptions", "run"]

_log = log("dns")


async def run(options: DnsOptions, *, client: Client | None = None) -> None:
    """Bind, watch and answer until cancelled; then keep answering for `options.lameduck` seconds.

    The port answers from the first moment, with SERVFAIL for every name of the cluster until all
    Services are known. A Corefile that changes, and is sound, is started over with. Raises OSError
    when an address cannot be bound and KubeconfigError when there are no usable credentials.
    """
    while True:
        effective = read_corefile(options.corefile, options, warn=_warn) if options.corefile else options
        try:
            await _run(effective, client)
        except* _Changed:
            _log.info("Corefile changed, starting over", file=options.corefile)


async def _run(options: DnsOptions, client: Client | None) -> None:
    """One server, until cancelled or told to change, which raises `_Changed`."""
    async with client or _connect(options) as connected:
        server = Server(options, connected)
        await server.answering.open()
        try:
            async with server.pages(), asyncio.TaskGroup() as group:
                group.create_task(server.answering.run(), name="answering")
                group.create_task(server.feed.run(), name="feed")
                group.create_task(server.load(), name="load")
                try:
                    await _until_changed(options)
                except asyncio.CancelledError:
                    await server.linger()
                    raise
                raise _Changed
        finally:
            await server.answering.close()


def _warn(place: str, reason: str) -> None:
    _log.warning("Corefile line without effect", place=place, reason=reason)


class _Changed(Exception):
    """The Corefile says something else now."""


async def _until_changed(options: DnsOptions) -> None:
    """Return when the Corefile is another and sound; never where there is none to follow."""
    if options.corefile is None or options.reload <= 0:
        await asyncio.get_running_loop().create_future()
        return
    seen = options.corefile.read_text(errors="replace")
    while True:
        await asyncio.sleep(options.reload)
        try:
            now = options.corefile.read_text(errors="replace")
            if now == seen:
                continue
            seen = now
            read_corefile(options.corefile, options)
            return
        except (CorefileError, OSError) as err:
            _log.error("Corefile not followed, staying as it was", reason=err)


class Server:
    """The watching half, the answering half, and the pages about both."""

    def __init__(self, options: DnsOptions, client: Client) -> None:
        self._options = options
        self._started = time.monotonic()
        self._leaving = False
        serial = int(time.time())
        feed_options = FeedOptions(
            verify_pods=options.pods == "verified", endpoint_pod_names=options.endpoint_pod_names
        )
        self.answering: Answering
        if options.workers:
            self.answering = Crew(options, serial=serial, replay=self._replay)
        else:
            self.answering = InProcess(options, serial=serial)
        self.feed = Feed(client, self.answering.take, feed_options, clock=EagerClock())

    def _replay(self, take: Callable[[Row], None]) -> None:
        self.feed.replay(take)

    async def load(self) -> None:
        """Say when the first contents are complete."""
        await self.feed.synced()
        self.answering.finish_loading()
        _log.info("names are known", services=self.feed.services, after_s=time.monotonic() - self._started)

    async def linger(self) -> None:
        """Keep answering while clients that do not know yet that we leave still ask."""
        self._leaving = True
        if self._options.lameduck > 0:
            _log.info("leaving", lameduck_s=self._options.lameduck)
            await asyncio.sleep(self._options.lameduck)

    @asynccontextmanager
    async def pages(self) -> AsyncIterator[None]:
        """Serve /health, /ready and /metrics, each on its port."""
        pages = (
            (self._options.health_port, "/health", self._health_page),
            (self._options.ready_port, "/ready", self._ready_page),
            (self._options.metrics_port, "/metrics", self._metrics_page),
        )
        # None is every address of either family.
        host = None if ":" in self._options.bind else "0.0.0.0"
        servers = [await serve_pages(host, port, {path: page}) for port, path, page in pages if port]
        try:
            yield
        finally:
            for server in servers:
                server.close()

    async def _health_page(self) -> Page:
        return Page(200, b"OK")

    async def _ready_page(self) -> Page:
        if self._leaving:
            return Page(503, b"shutting down\n")
        return Page(200, b"OK") if self.answering.ready else Page(503, b"kubernetes\n")

    async def _metrics_page(self) -> Page:
        feed = FeedCounts(
            self.feed.silence,
            self.feed.bad_objects,
            self.answering.ready,
            self.feed.programming.counts,
            self.feed.programming.seconds,
        )
        counts = await self.answering.counts()
        return Page(200, render(counts, feed, port=self._options.port), METRICS_TYPE)


def _connect(options: DnsOptions) -> Client:
    if options.kubeconfig is not None:
        return Client.from_kubeconfig(options.kubeconfig, user_agent="kubesvc-dns")
    return Client.from_in_cluster(user_agent="kubesvc-dns")


class EagerClock(SystemClock):
    """The machine's clock, impatient at first: a cluster that is just starting is worth asking often."""

    EAGER_SECONDS = 15.0
    EAGER_DELAY = 0.05

    def __init__(self) -> None:
        self._start = self.monotonic()

    async def sleep(self, seconds: float) -> None:
        if self.monotonic() - self._start < self.EAGER_SECONDS:
            seconds = min(seconds, self.EAGER_DELAY)
        await super().sleep(seconds)
