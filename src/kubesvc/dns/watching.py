"""The watching half: a client, its feed, and whether what it says is handed on."""

import asyncio
import time

from kubesvc.aio.clock import Clock, SystemClock
from kubesvc.client.rest import Client
from kubesvc.dns.answering import Answering
from kubesvc.dns.feed import Feed, FeedOptions
from kubesvc.dns.options import DnsOptions
from kubesvc.observe import log

_log = log("dns.watching")


class Watch:
    """Follows one API server in one way; `client` None connects as the options say, and closes that again."""

    def __init__(
        self, options: DnsOptions, answering: Answering, client: Client | None, *, clock: Clock | None = None
    ) -> None:
        self._options = options
        self._answering = answering
        self._given = client
        self._client = client or _connect(options)
        self._started = time.monotonic()
        self.is_in_use = False
        self.feed = Feed(self._client, self._take, _feed_options(options), clock=clock)

    def serves(self, options: DnsOptions) -> bool:
        """Whether a server with these options would watch the same."""
        return options.kubeconfig == self._options.kubeconfig and _feed_options(options) == _feed_options(self._options)

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.feed.run(), name="feed")
                group.create_task(self._load(), name="load")
        finally:
            if self._given is None:
                await self._client.transport.close()

    async def _load(self) -> None:
        """Say when the first contents are complete."""
        await self.feed.synced()
        if self.is_in_use:
            self._answering.finish_loading()
        _log.info("names are known", services=self.feed.services, after_s=time.monotonic() - self._started)

    def _take(self, packed: bytes) -> None:
        if self.is_in_use:
            self._answering.take(packed)


def _feed_options(options: DnsOptions) -> FeedOptions:
    return FeedOptions(verify_pods=options.pods == "verified", endpoint_pod_names=options.endpoint_pod_names)


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
