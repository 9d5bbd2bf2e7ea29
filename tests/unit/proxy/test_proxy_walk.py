"""Whatever happens to Services, slices and the node, in whatever order: the rules are those of a fresh start."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import pytest
from tests.unit.proxy.proxy_engines import (
    ENGINES,
    NODE,
    Document,
    Place,
    iptables_restore,
    outcomes,
    plans_of,
    put,
    say,
)
from tests.unit.proxy.proxy_walk import CLUSTER_IPS, CLUSTER_IPS6, NODE_PORTS, OUTSIDE_IPS, PLACES, PORTS, Chance, Step
from tests.unit.proxy.test_iptables_restores import apply, empty_tables, in_any_order, read
from tests.unit.proxy.test_nft_changes import applied

from kubesvc.api.resources import Key
from kubesvc.proxy.addresses import family_of
from kubesvc.proxy.backend import SyncReport
from kubesvc.proxy.family import FamilyProxy
from kubesvc.proxy.iptables.compile import NO_RULES, PortRules, compile_port
from kubesvc.proxy.iptables.restore import partial_restore, together
from kubesvc.proxy.model import Family, PortPlan, ServicePortName
from kubesvc.proxy.nftables.compiler import Compiler
from kubesvc.proxy.nftables.elements import Changes, ElementKey, Value
from kubesvc.proxy.nftables.listing import expected_elements
from kubesvc.proxy.rules import RuleSettings
from kubesvc.proxy.tracker import Tracker

Plans = Mapping[ServicePortName, PortPlan]
SOURCES = {Family.IPV4: ("192.0.2.9", "10.244.1.77", "192.0.2.1"), Family.IPV6: ("2001:db8::9", "fd00:244::77")}


class Pure(Protocol):
    """A backend whose kernel is a value, which refuses what the real one would."""

    def check(self, plans: Plans) -> None:
        """Whether the kernel holds what a fresh start with these plans would put there."""


class Told:
    """What a backend has to be besides its syncs."""

    async def preload(self, plans: Plans) -> None:
        pass

    def configure(self, settings: RuleSettings) -> bool:
        return False

    def intact(self) -> bool:
        return True

    def close(self) -> None:
        pass


class PureNftables(Told):
    """Elements, changed by transactions of deletions and then additions."""

    def __init__(self, place: Place) -> None:
        self.compiler = Compiler()
        self.kernel: dict[ElementKey, Value] = {}

    async def sync(self, changes: Mapping[ServicePortName, PortPlan | None]) -> SyncReport:
        batch = Changes()
        for name, plan in changes.items():
            batch.extend(self.compiler.set_port(name, plan))
        self.kernel = applied(self.kernel, batch)
        return SyncReport(len(batch))

    async def full_sync(self, plans: Plans) -> SyncReport:
        return await self.sync(plans)

    def check(self, plans: Plans) -> None:
        assert self.kernel == dict(self.compiler.ledger.items())
        assert self.kernel == expected_elements(self.kernel, plans)


class PureIptables(Told):
    """Chains, changed by partial restores."""

    def __init__(self, place: Place) -> None:
        self.settings = place.settings
        self.rules: dict[ServicePortName, PortRules] = {}
        self.tables = self._full({}, empty_tables())

    async def sync(self, changes: Mapping[ServicePortName, PortPlan | None]) -> SyncReport:
        parts = []
        for name, plan in changes.items():
            before = self.rules.pop(name, NO_RULES)
            after = compile_port(plan, self.settings) if plan else NO_RULES
            if plan is not None:
                self.rules[name] = after
            parts.append((name, partial_restore(before, after)))
        self.tables = apply(self.tables, together(parts).text())
        return SyncReport()

    async def full_sync(self, plans: Plans) -> SyncReport:
        return await self.sync(plans)

    def check(self, plans: Plans) -> None:
        rules = {name: compile_port(plan, self.settings) for name, plan in plans.items()}
        assert in_any_order(self.tables) == in_any_order(self._full(rules, empty_tables()))

    def _full(self, rules: Mapping[ServicePortName, PortRules], tables: dict[str, dict[str, list[str]]]):  # type: ignore[no-untyped-def]
        return apply(tables, iptables_restore(rules.values(), self.settings, read(tables)).text())


class World:
    """Proxies that see each change, and the objects as they are now."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Document] = {}
        self.proxies = [
            FamilyProxy(Tracker(family, NODE), backend(PLACES[family]))
            for family in Family
            for backend in (PureNftables, PureIptables)
        ]

    def take(self, step: Step) -> None:
        what, thing = step
        if isinstance(thing, dict):
            self.objects[thing["kind"], thing["metadata"]["name"]] = thing
            for proxy in self.proxies:
                put(proxy.tracker, thing)
            return
        self.objects.pop((what, thing), None)
        key = Key("default", thing)
        for proxy in self.proxies:
            if what == "Service":
                proxy.tracker.set_service(key, None)
            else:
                proxy.tracker.set_slice(key, None)

    def fresh(self, family: Family) -> Tracker:
        """One that sees the objects as they are now, the newest first."""
        tracker = Tracker(family, NODE)
        put(tracker, *reversed(self.objects.values()))
        return tracker

    async def sync_and_check(self) -> None:
        for proxy in self.proxies:
            if proxy.pending:
                await proxy.sync()
            fresh = self.fresh(proxy.tracker.family)
            plans = plans_of(fresh)
            assert proxy.plans == plans
            assert set(proxy.health) == {key for key in fresh if fresh.plan(key).health}
            assert isinstance(proxy.backend, PureNftables | PureIptables)
            proxy.backend.check(plans)


@pytest.mark.parametrize("seed", range(30))
async def test_after_whatever_happened_the_rules_are_those_of_a_fresh_start(seed: int) -> None:
    chance, world = Chance(seed, large=1100), World()
    for _ in range(12):
        for step in chance.steps():
            world.take(step)
        await world.sync_and_check()


def destinations(family: Family) -> Iterator[str]:
    """Every address and port that anybody may claim."""
    addresses = {*CLUSTER_IPS, *CLUSTER_IPS6, *OUTSIDE_IPS}
    of_family = [address for address in sorted(addresses) if family_of(address) is family]
    for protocol in ("tcp", "udp", "sctp"):
        yield from (f"{protocol}/[{address}]:{port}" for address in of_family for port in PORTS)
        yield from (f"{protocol}/[{PLACES[family].addresses[0]}]:{port}" for port in NODE_PORTS if port)


@pytest.mark.parametrize("seed", range(20))
async def test_both_backends_send_every_packet_the_same_way_after_whatever_happened(seed: int) -> None:
    chance, world = Chance(seed, large=0), World()
    for _ in range(6):
        for step in chance.steps():
            world.take(step)
    for family in Family:
        place, plans = PLACES[family], plans_of(world.fresh(family))
        nftables, iptables = (engine(place, plans) for engine in ENGINES.values())
        for destination in destinations(family):
            for source in SOURCES[family]:
                assert say(outcomes(nftables, source, destination)) == say(outcomes(iptables, source, destination)), (
                    f"{source} to {destination}"
                )
