"""Putting the parts together: `run` is the whole DNS server."""

import asyncio
import time
from collections.abc import Callable

from kubesvc.aio.pages import Page
from kubesvc.client.errors import ClientError
from kubesvc.client.rest import Client
from kubesvc.dns.answering import Answering, InProcess, policy_of
from kubesvc.dns.crew import Crew
from kubesvc.dns.following import Follower
from kubesvc.dns.metrics import FeedCounts, render
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.pages import Pages
from kubesvc.dns.watching import EagerClock, Watch
from kubesvc.observe import METRICS_TYPE, log

__all__ = ["DnsOptions", "run"]

_log = log("dns")
# How long other credentials may take to show all Services before they count as wrong.
_SYNC_SECONDS = 30.0


async def run(options: DnsOptions, *, client: Client | None = None) -> None:
    """Bind, watch and answer until cancelled; then keep answering for `options.lameduck` seconds.

    The port answers from the first moment, with SERVFAIL for every name of the cluster until all
    Services are known. A Corefile that changes, and is sound, is followed without a question lost.
    Raises OSError when an address cannot be bound, CorefileError and ValueError for a configuration
    that cannot be followed, and KubeconfigError when there are no usable credentials.
    """
    follower = Follower(options)
    server = Server(follower, client)
    try:
        await server.open()
        async with asyncio.TaskGroup() as group:
            server.start(group)
            with follower.signals():
                await server.follow(group)
    finally:
        await server.close()
        if client is not None:
            await client.transport.close()


class Server:
    """The watching half, the answering half, and the pages about both."""

    def __init__(self, follower: Follower, client: Client | None) -> None:
        self._follower = follower
        self._client = client
        self._leaving = False
        self._watching: asyncio.Task[None] | None = None
        options, serial = follower.options, int(time.time())
        self.answering: Answering
        if options.workers:
            self.answering = Crew(options, serial=serial, replay=self._replay)
        else:
            self.answering = InProcess(options, serial=serial, replay=self._replay)
        self._watch = Watch(options, self.answering, client, clock=EagerClock())
        self._watch.is_in_use = True
        self._pages = Pages({"/health": self._health_page, "/ready": self._ready_page, "/metrics": self._metrics_page})

    async def open(self) -> None:
        """Bind everything; raises OSError naming what cannot be had."""
        await self.answering.open()
        await self._pages.open(self._follower.options)

    def start(self, group: asyncio.TaskGroup) -> None:
        group.create_task(self.answering.run(), name="answering")
        self._watching = group.create_task(self._watch.run(), name="watch")

    async def follow(self, group: asyncio.TaskGroup) -> None:
        """Change whenever the configuration does; when cancelled, go on answering for the lame duck's time."""
        try:
            while True:
                options = await self._follower.changed()
                try:
                    await self._change(options, group)
                except (OSError, ValueError, ClientError, TimeoutError) as err:
                    await self._pages.keep(self._follower.options)
                    self._follower.refused(err)
                else:
                    await self._pages.keep(options)
                    self._follower.followed()
        except asyncio.CancelledError:
            await self._linger()
            raise

    async def close(self) -> None:
        await self._pages.close()
        await self.answering.close()

    async def _change(self, options: DnsOptions, group: asyncio.TaskGroup) -> None:
        """Serve by `options`; what is raised leaves everything as it was."""
        await self._pages.open(options)
        before = self._follower.options
        if self._watch.serves(options):
            fresh = policy_of(options, serial=0) != policy_of(before, serial=0)
            await self.answering.change(options, fresh=fresh)
            return
        watch = Watch(options, self.answering, self._client)
        task = group.create_task(watch.run(), name="watch")
        try:
            # Not whether all answer: a worker that is just being replaced does not make the others' names unknown.
            if self._watch.feed.is_synced:
                await _synced(watch)
            old = self._use(watch)
            try:
                # If it fails, then before it lets anything else run: no row is missed by going back.
                await self.answering.change(options, fresh=True)
            except BaseException:
                self._use(old)
                raise
        except BaseException:
            task.cancel()
            raise
        if self._watching is not None:
            self._watching.cancel()
        self._watching = task

    def _use(self, watch: Watch) -> Watch:
        """Take rows from `watch` from now on; the one they came from."""
        before, self._watch = self._watch, watch
        before.is_in_use, watch.is_in_use = False, True
        return before

    async def _linger(self) -> None:
        """Keep answering while clients that do not know yet that we leave still ask."""
        self._leaving = True
        lameduck = self._follower.options.lameduck
        if lameduck > 0:
            _log.info("leaving", lameduck_s=lameduck)
            await asyncio.sleep(lameduck)

    def _replay(self, take: Callable[[bytes], None]) -> None:
        self._watch.feed.replay(take)

    async def _health_page(self) -> Page:
        return Page(200, b"OK")

    async def _ready_page(self) -> Page:
        if self._leaving:
            return Page(503, b"shutting down\n")
        return Page(200, b"OK") if self.answering.ready else Page(503, b"kubernetes\n")

    async def _metrics_page(self) -> Page:
        feed = self._watch.feed
        counts = FeedCounts(
            feed.silence,
            feed.bad_objects,
            self.answering.ready,
            feed.programming.counts,
            feed.programming.seconds,
            self._follower.failures,
            self._follower.digest,
        )
        answered = await self.answering.counts()
        return Page(200, render(answered, counts, port=self._follower.options.port), METRICS_TYPE)


async def _synced(watch: Watch) -> None:
    """Wait until `watch` knows everything; TimeoutError when it does not come to."""
    try:
        async with asyncio.timeout(_SYNC_SECONDS):
            await watch.feed.synced()
    except TimeoutError as err:
        raise TimeoutError(f"the API server did not show all Services within {_SYNC_SECONDS:g} s") from err
