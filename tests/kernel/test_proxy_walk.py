"""Whatever happens to Services, slices and the node: the kernel holds what a fresh start would put there."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from tests.kernel.proxy_net import Net, run, topology
from tests.kernel.test_proxy_daemon import World, inside, resource
from tests.unit.proxy.proxy_engines import NODE, Document, plans_of, put
from tests.unit.proxy.proxy_walk import PLACES, Chance

from kubesvc.api.resources import Key
from kubesvc.linux import netns
from kubesvc.proxy.family import FamilyProxy
from kubesvc.proxy.iptables.backend import open_iptables, remove_chains
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.backend import NftablesBackend, remove_tables
from kubesvc.proxy.nftables.listing import expected_elements
from kubesvc.proxy.nftables.live import read_table
from kubesvc.proxy.tracker import Tracker
from kubesvc.testing.local import LocalTransport

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"kpw{os.getpid()}"
    netns.create(name)
    try:
        yield name
    finally:
        netns.delete(name)


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with topology() as made:
        yield made


class Walk:
    """One family's proxy that sees everything happen, and the objects as they are now."""

    def __init__(self, proxy: FamilyProxy, seed: int, *, large: int) -> None:
        self.proxy = proxy
        self._chance = Chance(seed, large=large)
        self._objects: dict[tuple[str, str], Document] = {}

    async def step(self) -> Tracker:
        """A few things happen and are put in force; a tracker that sees their outcome only."""
        for what, thing in self._chance.steps():
            if isinstance(thing, dict):
                self._objects[thing["kind"], thing["metadata"]["name"]] = thing
                put(self.proxy.tracker, thing)
                continue
            self._objects.pop((what, thing), None)
            key = Key("default", thing)
            if what == "Service":
                self.proxy.tracker.set_service(key, None)
            else:
                self.proxy.tracker.set_slice(key, None)
        if self.proxy.pending:
            await self.proxy.sync()
        fresh = Tracker(self.proxy.tracker.family, NODE)
        put(fresh, *reversed(self._objects.values()))
        return fresh


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("seed", range(4))
async def test_the_tables_elements_are_those_of_a_fresh_start(namespace: str, seed: int, family: Family) -> None:
    with netns.entered(namespace):
        backend = NftablesBackend(PLACES[family].settings)
        try:
            walk = Walk(FamilyProxy(Tracker(family, NODE), backend), seed, large=1100)
            for _ in range(12):
                fresh = await walk.step()
                table = read_table(family)

                assert table is not None
                assert table.elements == expected_elements(table.elements, plans_of(fresh))
                assert walk.proxy.refused == {}
                assert backend.intact()
        finally:
            backend.close()
            remove_tables()


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("seed", range(2))
async def test_the_chains_are_those_of_a_fresh_start(namespace: str, seed: int, family: Family) -> None:
    def saved() -> list[str]:
        """Rules without the built-in chains' policies; in any order, as Services have none."""
        lines = run("ip6tables-save" if family is Family.IPV6 else "iptables-save").splitlines()
        return sorted(line for line in lines if line.startswith(("-A", ":KUBE")))

    with netns.entered(namespace):
        backend = open_iptables(PLACES[family].settings)
        fresh_backend = open_iptables(PLACES[family].settings)
        try:
            walk = Walk(FamilyProxy(Tracker(family, NODE), backend), seed, large=0)
            for _ in range(8):
                plans = plans_of(await walk.step())
            found = saved()
            assert found
            assert walk.proxy.refused == {}

            remove_chains()
            await fresh_backend.full_sync(plans)

            assert found == saved()
        finally:
            backend.close()
            fresh_backend.close()
            remove_chains()


@pytest.mark.parametrize("seed", range(6))
def test_a_daemon_whose_api_breaks_now_and_then_ends_where_a_fresh_start_would(net: Net, seed: int) -> None:
    chance = Chance(seed, large=1100)
    objects: dict[tuple[str, str], Document] = {}

    async def story(world: World) -> None:
        async with world.proxy():
            for _ in range(20):
                for what, thing in chance.steps():
                    if isinstance(thing, dict):
                        objects[thing["kind"], thing["metadata"]["name"]] = thing
                        world.api.put(thing)
                    else:
                        objects.pop((what, thing), None)
                        world.api.remove(resource(f"{what.lower()}s"), thing, "default")
                trouble(world.api)
                await asyncio.sleep(0.01)
            world.api.set_reachable(reachable=True)
            await world.until(lambda: as_a_fresh_start(), seconds=20)
            assert await world.status("/livez") == 200

    def trouble(api: LocalTransport) -> None:
        if chance.happens(once_in=4):
            api.send_raw(resource("services"), "MODIFIED", b'{"metadata":{"name":"s0","namespace":"default"},"spec":7}')
        if chance.happens(once_in=4):
            api.compact()
        if chance.happens(once_in=3):
            api.break_watches()
        api.set_reachable(reachable=not chance.happens(once_in=4))

    async def as_a_fresh_start() -> bool:
        for family in Family:
            fresh = Tracker(family, NODE)
            put(fresh, *reversed(objects.values()))
            table = read_table(family)
            if table is None or table.elements != expected_elements(table.elements, plans_of(fresh)):
                return False
        return True

    inside(net, "nftables", story)
