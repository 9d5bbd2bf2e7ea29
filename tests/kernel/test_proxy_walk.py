"""Whatever happens to Services, slices and the node: the kernel holds what a fresh start would put there."""

import os
from collections.abc import Iterator

import pytest
from tests.kernel.proxy_net import run
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

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"kpw{os.getpid()}"
    netns.create(name)
    try:
        yield name
    finally:
        netns.delete(name)


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
