"""Which upstreams are asked about which names, and how one set of them gives way to another."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kubesvc.dns import wire
from kubesvc.dns.answers import Resolution
from kubesvc.dns.cache import Cache
from kubesvc.dns.forward import STALE_PATIENCE, Forwarding
from kubesvc.dns.metrics import ForwardCounts
from kubesvc.dns.nameservers import Upstream, read_upstreams
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.tuning import FORWARD_DEFAULTS, CacheTuning, ForwardTuning
from kubesvc.dns.wire import Rcode


@dataclass(frozen=True, slots=True)
class Route:
    """All that is said about the names of one zone. Equal routes may share cache and health."""

    zone: str
    upstreams: tuple[Upstream, ...]
    policy: str
    tuning: ForwardTuning
    cache: CacheTuning

    def open(self) -> Forwarding:
        patience = 0.0 if self.cache.stale_at_once else STALE_PATIENCE
        return Forwarding(
            self.upstreams, Cache(self.cache), policy=self.policy, tuning=self.tuning, stale_patience=patience
        )


def routes_of(options: DnsOptions) -> list[Route]:
    """The routes that `options` ask for. Raises ValueError and OSError for upstreams that are none."""
    tunings, caches = dict(options.forward), dict(options.caches)
    routes = []
    for zone, servers in (*options.stub_domains, *([(".", options.upstreams)] if options.upstreams else [])):
        tuning = tunings.get(zone, FORWARD_DEFAULTS)
        policy, cache = tuning.policy or options.policy, caches.get(zone, options.cache)
        routes.append(Route(zone, tuple(read_upstreams(servers)), policy, tuning, cache))
    return routes


@dataclass(slots=True)
class Routes:
    """The ways to foreign names; the most specific zone decides."""

    by_route: dict[Route, Forwarding] = field(default_factory=dict)
    # What those came to that were here before.
    past: ForwardCounts | None = None
    _by_zone: list[tuple[bytes, Forwarding]] = field(init=False)

    def __post_init__(self) -> None:
        zones = [(wire.name_from_text(route.zone), forwarding) for route, forwarding in self.by_route.items()]
        self._by_zone = sorted(zones, key=lambda zone: len(zone[0]), reverse=True)

    def followed_by(self, routes: Sequence[Route]) -> "Routes":
        """The routes that take over from these; a route that stays keeps its cache and what it knows of upstreams."""
        kept = {route: self.by_route.get(route) or route.open() for route in routes}
        past = _sum([*self._past, *(self.by_route[route].counts() for route in self._missing_in(kept))])
        if past is not None:
            past.cache_entries = 0
        return Routes(kept, past)

    async def retire(self, successor: "Routes") -> None:
        """Bring to an end what is under way here, and what `successor` does not go on with."""
        for route in self._missing_in(successor.by_route):
            await self.by_route[route].finish()

    async def resolve(self, name: bytes, qtype: int, *, dnssec_ok: bool = False) -> Resolution:
        for zone, forwarding in self._by_zone:
            if wire.is_within(name, zone) and not forwarding.is_excepted(name):
                return await forwarding.resolve(name, qtype, dnssec_ok=dnssec_ok)
        return Resolution(Rcode.REFUSED)

    async def run(self) -> None:
        """Look after the upstreams; never returns while there are any."""
        await asyncio.gather(*(forwarding.run() for forwarding in self.by_route.values()))

    async def close(self) -> None:
        for forwarding in self.by_route.values():
            await forwarding.close()

    def counts(self, rejects: int) -> ForwardCounts | None:
        """The sums over all routes there are and were; None without any."""
        total = _sum([*self._past, *(forwarding.counts() for forwarding in self.by_route.values())])
        if total is not None:
            total.rejects += rejects
        return total

    @property
    def _past(self) -> list[ForwardCounts]:
        return [self.past] if self.past is not None else []

    def _missing_in(self, others: dict[Route, Forwarding]) -> list[Route]:
        return [route for route in self.by_route if route not in others]


def _sum(parts: Iterable[ForwardCounts]) -> ForwardCounts | None:
    parts = list(parts)
    if not parts:
        return None
    return ForwardCounts(
        sum(part.cache_entries for part in parts),
        sum(part.cache_hits for part in parts),
        sum(part.cache_misses for part in parts),
        sum(part.served_stale for part in parts),
        sum(part.evictions for part in parts),
        sum(part.rejects for part in parts),
        sum(part.health_broken for part in parts),
        [sum(column) for column in zip(*(part.durations for part in parts), strict=True)],
        sum(part.seconds for part in parts),
    )
