"""The answering half as the watching half sees it, and its simplest form: in the same process."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from kubesvc.dns import wire
from kubesvc.dns.listeners import Listeners, Pair, Place, open_sockets, places_of
from kubesvc.dns.metrics import Counts
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.responder import Outside, Responder
from kubesvc.dns.routes import routes_of
from kubesvc.dns.view import Policy, View

# About half a millisecond of work.
_ROWS_AT_ONCE = 32
# Hands everything that is known to whoever needs it from the beginning.
Replay = Callable[[Callable[[bytes], None]], None]


class Answering(Protocol):
    """Whoever answers: takes rows in, says when it is ready, and reports what it counted."""

    @property
    def ready(self) -> bool:
        """Whether every answer from now on comes from a complete view."""
        ...

    async def open(self) -> None:
        """Bind; raises OSError naming the address that cannot be had."""
        ...

    async def change(self, options: DnsOptions, *, fresh: bool) -> None:
        """Answer by `options`, with no question lost; `fresh` when names are made or known otherwise than before.

        Raises OSError, and goes on as before, when an address cannot be had.
        """
        ...

    def take(self, packed: bytes) -> None:
        """Let the next answers show this row, packed."""
        ...

    def finish_loading(self) -> None:
        """All that was there at the start has been handed over."""
        ...

    async def counts(self) -> list[Counts]: ...

    async def run(self) -> None:
        """Answer until cancelled."""
        ...

    async def close(self) -> None: ...


def policy_of(options: DnsOptions, *, serial: int) -> Policy:
    """How these options want names to be made."""
    return Policy(domain=options.domain, ttl=options.ttl, pods=options.pods, ns_name=options.ns_name, serial=serial)


def make_responder(options: DnsOptions, *, serial: int) -> Responder:
    """The deciding half of a server with these options."""
    return _responder(options, View(policy_of(options, serial=serial)), None)


def succeed_responder(before: Responder, options: DnsOptions, *, fresh: bool) -> Responder:
    """A responder to take the place of `before`: it goes on counting, and with the same view unless `fresh`."""
    view = View(policy_of(options, serial=before.view.policy.serial)) if fresh else before.view
    after = _responder(options, view, before)
    after.synced = before.synced and not fresh
    return after


def _responder(options: DnsOptions, view: View, before: Responder | None) -> Responder:
    tunings = dict(options.forward)
    zones = [zone for zone, _ in options.stub_domains] + (["."] if options.upstreams else [])
    forwarded = [
        (
            wire.name_from_text(zone),
            [wire.name_from_text(name) for name in tunings[zone].excepted] if zone in tunings else [],
        )
        for zone in zones
    ]
    return Responder(
        view,
        forwarded=forwarded,
        outside=Outside(options.outside),
        rewrites=options.rewrites,
        autopath=options.autopath,
        tallies=before.tallies if before is not None else None,
    )


class InProcess:
    """Answers in the loop that watches: smallest, and right for small clusters."""

    def __init__(self, options: DnsOptions, *, serial: int, replay: Replay) -> None:
        self._options = options
        self._replay = replay
        # What a responder that is to take over has still to take in.
        self._backlog: deque[bytes] | None = None
        self.responder = make_responder(options, serial=serial)
        self.listeners = Listeners(options, self.responder)

    @property
    def ready(self) -> bool:
        return self.responder.synced

    async def open(self) -> None:
        await self._adopt(open_sockets(places_of(self._options), shared=False))

    async def change(self, options: DnsOptions, *, fresh: bool) -> None:
        routes = routes_of(options)
        missing = [place for place in places_of(options) if place not in self.listeners.places]
        opened = open_sockets(missing, shared=False)
        after = succeed_responder(self.responder, options, fresh=fresh)
        if fresh:
            await self._fill(after)
            after.synced = self.responder.synced
        self.listeners.change(options, routes, after)
        self.responder, self._options = after, options
        await self._adopt(opened)

    async def _fill(self, responder: Responder) -> None:
        """Let `responder` know everything, a little at a time between the questions that the other answers."""
        self._backlog = backlog = deque[bytes]()
        try:
            self._replay(backlog.append)
            while backlog:
                for _ in range(min(len(backlog), _ROWS_AT_ONCE)):
                    responder.apply(backlog.popleft())
                await asyncio.sleep(0)
        finally:
            self._backlog = None

    async def _adopt(self, opened: Mapping[Place, Pair]) -> None:
        for place, pair in opened.items():
            await self.listeners.adopt(place, pair)

    def take(self, packed: bytes) -> None:
        self.responder.apply(packed)
        if self._backlog is not None:
            self._backlog.append(packed)

    def finish_loading(self) -> None:
        self.responder.synced = True

    async def counts(self) -> list[Counts]:
        return [self.listeners.counts()]

    async def run(self) -> None:
        await self.listeners.run()

    async def close(self) -> None:
        await self.listeners.close()
