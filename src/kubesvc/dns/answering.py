"""The answering half as the watching half sees it, and its simplest form: in the same process."""

from typing import Protocol

from kubesvc.dns import wire
from kubesvc.dns.listeners import Listeners, open_sockets
from kubesvc.dns.metrics import Counts
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.responder import Outside, Responder
from kubesvc.dns.rows import Row
from kubesvc.dns.view import Policy, View


class Answering(Protocol):
    """Whoever answers: takes rows in, says when it is ready, and reports what it counted."""

    @property
    def ready(self) -> bool:
        """Whether every answer from now on comes from a complete view."""
        ...

    async def open(self) -> None:
        """Bind; raises OSError naming the address that cannot be had."""
        ...

    def take(self, row: Row) -> None:
        """Let the next answers show `row`."""
        ...

    def finish_loading(self) -> None:
        """All that was there at the start has been handed over."""
        ...

    async def counts(self) -> list[Counts]: ...

    async def run(self) -> None:
        """Answer until cancelled."""
        ...

    async def close(self) -> None: ...


def make_responder(options: DnsOptions, *, serial: int) -> Responder:
    """The deciding half of a server with these options."""
    policy = Policy(
        domain=options.domain, ttl=options.ttl, pods=options.pods, ns_name=options.ns_name, serial=serial
    )  # fmt: skip
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
        View(policy),
        forwarded=forwarded,
        outside=Outside(options.outside),
        rewrites=options.rewrites,
        autopath=options.autopath,
    )


class InProcess:
    """Answers in the loop that watches: smallest, and right for small clusters."""

    def __init__(self, options: DnsOptions, *, serial: int) -> None:
        self._options = options
        self.responder = make_responder(options, serial=serial)
        self.listeners = Listeners(options, self.responder)

    @property
    def ready(self) -> bool:
        return self.responder.synced

    async def open(self) -> None:
        for udp, tcp in open_sockets(self._options, shared=False):
            await self.listeners.adopt(udp, tcp)

    def take(self, row: Row) -> None:
        self.responder.apply(row)

    def finish_loading(self) -> None:
        self.responder.synced = True

    async def counts(self) -> list[Counts]:
        return [self.listeners.counts()]

    async def run(self) -> None:
        await self.listeners.run()

    async def close(self) -> None:
        await self.listeners.close()
