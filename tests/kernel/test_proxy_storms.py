"""The proxy under very many changes and with very many endpoints."""

import asyncio
import gc
import os
import re
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import msgspec
import pytest
from tests.kernel.proxy_net import NODE_ADDRESS, PODS, Net, topology
from tests.kernel.test_proxy_daemon import MODES, World, inside, more_services, put, resource, web
from tests.kernel.test_proxy_faults import only_pod_a
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import Place, plans_of, tracker_of

from kubesvc.linux import netns
from kubesvc.proxy.model import PortPlan, ServicePortName
from kubesvc.proxy.nftables.affinity import SPARE
from kubesvc.proxy.nftables.backend import NftablesBackend, remove_tables
from kubesvc.proxy.proxier import TRIGGER_TIME
from kubesvc.testing.builders import endpoint_slice, node, service

SAVE = ("iptables-save", "-t", "nat")

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with topology() as made:
        yield made


FLAPPING = 20
FLAPS = 60_000


def flaps() -> Iterator[bytes]:
    """A minute of a thousand changes a second, as a watch brings them."""
    slices = [[flapping_slice(n, count) for count in range(4)] for n in range(FLAPPING)]
    for step in range(FLAPS):
        slice_ = slices[step % FLAPPING][step // FLAPPING % 4]
        slice_["metadata"]["resourceVersion"] = str(1000 + step)
        yield msgspec.json.encode(slice_)


def flapping_slice(number: int, endpoints: int) -> dict[str, Any]:
    addresses = [f"10.244.9.{number * 4 + index + 1}@node-b" for index in range(endpoints)]
    made = endpoint_slice(f"more-{number}", *addresses, port=8080, address_type="IPv4")
    made["metadata"]["annotations"] = {TRIGGER_TIME: "2026-01-01T00:00:00Z"}
    return made


@pytest.mark.parametrize("mode", MODES)
def test_a_minute_of_a_thousand_flaps_a_second_ends_in_the_right_rules(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web(f"{PODS['pod-a']}@node-a"), *more_services())
        async with world.proxy():
            livez: list[int] = []
            asking = asyncio.create_task(keep_asking(world, livez))
            gc.collect()
            before = len(gc.get_objects())
            for number, slice_ in enumerate(flaps()):
                world.api.send_raw(resource("endpointslices"), "MODIFIED", slice_)
                if number % 50 == 0:
                    await asyncio.sleep(0)
            for number in range(FLAPPING):
                put(world, flapping_slice(number, 2))
            await world.until(lambda: as_planned(world), seconds=20)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            gc.collect()
            assert len(gc.get_objects()) - before < 5000  # one for each change would be 60,000
            assert set(livez) == {200}
            assert len(livez) >= 5
            assert await only_pod_a(world)

    async def keep_asking(world: World, livez: list[int]) -> None:
        while True:
            livez.append(await world.status("/livez"))

    async def as_planned(world: World) -> bool:
        rules = await world.run(*(("nft", "list", "table", "ip", "kubesvc-proxy") if mode == "nftables" else SAVE))
        wanted = {f"10.244.9.{number * 4 + index + 1}" for number in range(FLAPPING) for index in (0, 1)}
        return set(re.findall(r"10\.244\.9\.\d+", rules)) == wanted

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
def test_a_service_that_turns_into_every_kind_loses_no_connection(net: Net, mode: str) -> None:
    everywhere = [table.hinted(PODS[pod], "node-a", zones=(zone,)) for pod, zone in (("pod-a", "z1"), ("pod-b", "z2"))]
    forms = [
        table.only_cluster_ip(*everywhere),
        table.only_cluster_ip(*everywhere, sessionAffinity="ClientIP"),
        table.only_cluster_ip(*everywhere, type="NodePort", externalTrafficPolicy="Local"),
        table.everything(*everywhere, sessionAffinity="ClientIP", internalTrafficPolicy="Local"),
        table.everything(*everywhere, externalTrafficPolicy="Local", loadBalancerSourceRanges=["192.0.2.0/24"]),
    ]

    async def story(world: World) -> None:
        put(world, *forms[0])
        async with world.proxy():
            turning = asyncio.create_task(turn(world))
            met = [await world.ask("outside", table.CLUSTER_IP, 80, timeout=2) for _ in range(600)]
            turning.cancel()
            assert {answer.split()[0] for answer in met} <= PODS.keys()

    async def turn(world: World) -> None:
        for form, zone in zip(cycle(forms), cycle(("z1", "", "z2")), strict=False):
            put(world, *form, node("node-a", ip=NODE_ADDRESS, zone=zone))
            await asyncio.sleep(0.003)

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
def test_udp_clients_that_keep_sending_while_endpoints_flap_all_end_at_the_right_one(net: Net, mode: str) -> None:
    clients = range(7000, 7030)

    async def story(world: World) -> None:
        put(world, *web(f"{PODS['pod-a']}@node-a", protocol="UDP"))
        async with world.proxy():
            flapping = asyncio.create_task(flap(world))
            for _ in range(10):
                await asyncio.gather(*(ask(world, port, 0.05) for port in clients))
            flapping.cancel()
            put(world, endpoint_slice("web", f"{PODS['pod-a']}@node-a", port=8080, protocol="UDP"))
            await world.until(lambda: all_at_pod_a(world))

    async def flap(world: World) -> None:
        for pod in cycle(("pod-b", "pod-a")):
            put(world, endpoint_slice("web", f"{PODS[pod]}@node-a", port=8080, protocol="UDP"))
            await asyncio.sleep(0.001)

    async def ask(world: World, port: int, timeout: float) -> str:
        return await world.ask("outside", table.NODE_IP, table.NODE_PORT, udp=True, source_port=port, timeout=timeout)

    async def all_at_pod_a(world: World) -> bool:
        answers = await asyncio.gather(*(ask(world, port, 0.2) for port in clients))
        return all(answer.startswith("pod-a") for answer in answers)

    inside(net, mode, story)


def test_a_service_with_five_thousand_endpoints(net: Net) -> None:
    async def story(world: World) -> None:
        others = [f"{PODS['pod-a']}@node-a"] + [f"10.244.{100 + n // 250}.{n % 250 + 1}@node-b" for n in range(4999)]
        put(world, service("web", port=80, target_port=8080, cluster_ip=table.CLUSTER_IP))
        for start in range(0, 5000, 1000):
            put(world, endpoint_slice("web", *others[start : start + 1000], port=8080, name=f"web-{start}"))
        async with world.proxy():
            elements = await world.run("nft", "list", "map", "ip", "kubesvc-proxy", "endpoints-tcp")
            assert elements.count("8080") == 5000
            for start in range(0, 5000, 1000):
                world.api.remove(resource("endpointslices"), f"web-{start}", "default")
            put(world, endpoint_slice("web", f"{PODS['pod-a']}@node-a", port=8080))
            await world.until(lambda: only_pod_a(world))

    inside(net, "nftables", story)


def test_time_outs_of_affinity_that_change_all_the_time_leave_few_chains(net: Net) -> None:
    place = Place()

    def plans(seconds: int) -> dict[ServicePortName, PortPlan]:
        return plans_of(tracker_of(place, [*affine("web", seconds), *affine("steady", 77)]))

    def affine(name: str, seconds: int) -> tuple[dict[str, Any], ...]:
        address = table.CLUSTER_IP if name == "web" else "10.96.2.1"
        made = service(name, port=80, cluster_ip=address, sessionAffinity="ClientIP")
        made["spec"]["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": seconds}}
        return made, endpoint_slice(name, f"{PODS['pod-a']}@node-a", f"{PODS['pod-b']}@node-a", port=8080)

    with netns.entered(net.name("node")):
        backend = NftablesBackend(place.settings)
        try:
            asyncio.run(backend.full_sync(plans(1)))
            least = len(net.exec("node", "nft", "list", "chains").splitlines())
            for seconds in range(2, 300):
                asyncio.run(backend.sync(plans(seconds)))
                assert backend.intact()
            chains = len(net.exec("node", "nft", "list", "chains").splitlines())
            assert chains < least + 6 * SPARE  # two lines a chain, two or three chains a time-out
            for address in (table.CLUSTER_IP, "10.96.2.1"):
                assert len({net.ask("outside", address, 80) for _ in range(6)}) == 1
            assert asyncio.run(backend.full_sync(plans(299))).writes == 0
        finally:
            backend.close()
            remove_tables()
