"""Putting the parts together: `run` is the whole DNS server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kubesvc.aio.clock import SystemClock
from kubesvc.client.rest import Client
from kubesvc.dns.feed import Feed, FeedOptions
from kubesvc.dns.http import Page, serve_pages
from kubesvc.dns.listeners import Listeners
from kubesvc.dns.metrics import render
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.responder import Outside, Responder
from kubesvc.dns.view import Policy, View
from kubesvc.observe import log

_log = log("dns")
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def run(options: DnsOptions, *, client: Client | None = None) -> None:
    """Bind, watch and answer until cancelled; then keep answering for `options.lameduck` seconds.

    The port answers from the first moment, with SERVFAIL for every name of the cluster until all
    Services are known. Raises OSError when an address cannot be bound and ConfigError when
    there are no usable credentials.
    """
    server = Server(options)
    await server.listeners.open()
    try:
        async with server.pages(), asyncio.TaskGroup() as group:
            group.create_task(server.listeners.run(), name="listeners")
            group.create_task(server.watch(client), name="watch")
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await server.linger()
    finally:
        await server.listeners.close()


class Server:
    """One process that watches and answers."""

    def __init__(self, options: DnsOptions) -> None:
        self._options = options
        self._started = time.monotonic()
        self._feed: Feed | None = None
        self._leaving = False
        policy = Policy(
            domain=options.domain,
            ttl=options.ttl,
            pods=options.pods,
            ns_name=options.ns_name,
            serial=int(time.time()),
        )
        self.responder = Responder(
            View(policy), recursion=bool(options.upstreams), outside=Outside(options.outside)
        )  # fmt: skip
        self.listeners = Listeners(options, self.responder)

    async def watch(self, client: Client | None) -> None:
        """Follow the API server; never returns."""
        options = FeedOptions(
            verify_pods=self._options.pods == "verified", endpoint_pod_names=self._options.endpoint_pod_names
        )
        async with client or _connect(self._options) as connected:
            self._feed = Feed(connected, self.responder.apply, options)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed.run(), name="feed")
                await self._feed.synced()
                self.responder.synced = True
                _log.info("ready", services=len(self.responder.view.services), after_s=time.monotonic() - self._started)

    async def linger(self) -> None:
        """Keep answering while clients that do not know yet that we leave still ask."""
        self._leaving = True
        if self._options.lameduck > 0:
            _log.info("leaving", lameduck_s=self._options.lameduck)
            await asyncio.sleep(self._options.lameduck)

    @asynccontextmanager
    async def pages(self) -> AsyncIterator[None]:
        """Serve /health, /ready and /metrics, each on its port."""
        pages = {
            self._options.health_port: ("/health", lambda: Page(200, b"OK")),
            self._options.ready_port: ("/ready", self._ready_page),
            self._options.metrics_port: ("/metrics", self._metrics_page),
        }
        host = "::" if ":" in self._options.bind else "0.0.0.0"
        servers = [await serve_pages(host, port, dict([page])) for port, page in pages.items() if port]
        try:
            yield
        finally:
            for server in servers:
                server.close()

    def _ready_page(self) -> Page:
        if self._leaving:
            return Page(503, b"shutting down\n")
        return Page(200, b"OK") if self.responder.synced else Page(503, b"kubernetes\n")

    def _metrics_page(self) -> Page:
        return Page(200, render(self.responder, self.listeners.meter, self._feed), _METRICS_TYPE)


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
