"""The proxy when things go wrong: refused elements, lost API, kill -9."""

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from tests.kernel.proxy_net import PODS, Net, topology
from tests.kernel.slow_api import SlowApi
from tests.kernel.test_proxy_daemon import MODES, World, answers, inside, more_services, put, resource, web
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import Place, plans_of, tracker_of

from kubesvc.client import Client
from kubesvc.client.http import HttpTransport, Patience
from kubesvc.client.kubeconfig import Access
from kubesvc.linux import netns
from kubesvc.linux.netlink_wire import NetlinkError
from kubesvc.linux.nft_elements import ElementSocket, SetType
from kubesvc.proxy.backend import Backend, BackendError
from kubesvc.proxy.iptables.backend import open_iptables, remove_chains
from kubesvc.proxy.model import PortPlan, ServicePortName
from kubesvc.proxy.nftables.backend import NftablesBackend, remove_tables
from kubesvc.proxy.rules import RuleSettings
from kubesvc.testing.builders import endpoint_slice, service

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with topology() as made:
        yield made


def guarded(name: str, cluster_ip: str, ranges: str) -> dict[str, Any]:
    """A Service that shares its load-balancer address and port with others of its kind."""
    made = service(name, port=80, cluster_ip=cluster_ip, load_balancer_ips=("203.0.113.77",))
    made["spec"]["loadBalancerSourceRanges"] = [ranges]
    return made


def test_a_service_whose_elements_the_kernel_refuses_costs_only_itself(net: Net) -> None:
    place = Place()

    def plans(*documents: dict[str, Any]) -> dict[ServicePortName, PortPlan]:
        return plans_of(tracker_of(place, documents))

    # Ranges of one address and port that overlap without being equal are refused by the kernel.
    first = plans(guarded("first", "10.96.2.1", "10.0.0.0/8"))
    second = plans(guarded("second", "10.96.2.2", "10.1.0.0/16"))
    third = plans(service("third", port=80, cluster_ip="10.96.2.3"))
    with netns.entered(net.name("node")):
        backend = NftablesBackend(place.settings)
        try:
            asyncio.run(backend.full_sync(first))
            report = asyncio.run(backend.sync({**second, **third}))
            assert {name.service for name in report.refused} == {"second"}
            assert net.ask("outside", "10.96.2.3", 80) == "refused"
            assert net.ask("outside", "10.96.2.1", 80) == "refused"

            report = asyncio.run(backend.sync({**dict.fromkeys(first), **second}))
            assert not report.refused
            assert net.ask("outside", "10.96.2.2", 80) == "refused"
        finally:
            backend.close()
            remove_tables()


def test_a_table_that_cannot_be_read_just_now_is_left_as_it_is(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(_socket: ElementSocket, set_: SetType) -> NoReturn:
        raise NetlinkError(errno.ENOMEM, set_.name)

    place = Place()
    plans = plans_of(tracker_of(place, [service("idle", port=80, cluster_ip="10.96.2.1")]))
    with netns.entered(net.name("node")):
        backend = NftablesBackend(place.settings)
        try:
            asyncio.run(backend.full_sync(plans))
            with monkeypatch.context() as meanwhile:
                meanwhile.setattr(ElementSocket, "list_elements", out_of_memory)
                with pytest.raises(BackendError, match="Cannot allocate memory"):
                    asyncio.run(backend.full_sync(plans))
            assert net.ask("outside", "10.96.2.1", 80) == "refused"
            assert asyncio.run(backend.full_sync(plans)).writes == 0
        finally:
            backend.close()
            remove_tables()


@pytest.mark.parametrize("mode", MODES)
def test_of_two_services_with_one_external_address_the_older_has_it(net: Net, mode: str) -> None:
    def claiming(name: str, cluster_ip: str, pod: str, created: str) -> tuple[dict[str, Any], dict[str, Any]]:
        made = service(name, port=80, cluster_ip=cluster_ip, externalIPs=["203.0.113.88"])
        made["metadata"]["creationTimestamp"] = created
        return made, endpoint_slice(name, f"{PODS[pod]}@node-a", port=8080)

    older = claiming("older", "10.96.3.1", "pod-a", "2026-01-01T00:00:00Z")
    newer = claiming("newer", "10.96.3.2", "pod-b", "2026-01-02T00:00:00Z")

    async def story(world: World) -> None:
        put(world, *newer)
        async with world.proxy():
            assert (await world.ask("outside", "203.0.113.88", 80)).startswith("pod-b")
            put(world, *older)
            await world.until(lambda: serves(world, "pod-a"))
            await world.until(lambda: reported(world))
        async with world.proxy():
            assert (await world.ask("outside", "203.0.113.88", 80)).startswith("pod-a")
            assert (await world.ask("outside", "10.96.3.2", 80)).startswith("pod-b")
            world.api.remove(resource("services"), "older", "default")
            await world.until(lambda: serves(world, "pod-b"))

    async def serves(world: World, pod: str) -> bool:
        return (await world.ask("outside", "203.0.113.88", 80, timeout=0.1)).startswith(pod)

    async def reported(world: World) -> bool:
        events = world.api.documents(resource("events"))
        return any(e["reason"] == "AddressInUse" and e["involvedObject"]["name"] == "newer" for e in events)

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
def test_rules_stay_while_the_api_is_away_and_follow_when_it_is_back(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            world.api.set_reachable(reachable=False)
            put(world, endpoint_slice("web", f"{PODS['pod-b']}@node-a", port=8080))
            assert await answers(world)
            world.api.set_reachable(reachable=True)
            await world.until(lambda: only_pod_b(world))

            world.api.compact()
            put(world, *web(f"{PODS['pod-a']}@node-a"))
            world.api.break_watches()
            await world.until(lambda: only_pod_a(world))

    inside(net, mode, story)


async def only_pod_a(world: World) -> bool:
    return {(await world.ask("outside", table.CLUSTER_IP, 80)).split()[0] for _ in range(6)} == {"pod-a"}


async def only_pod_b(world: World) -> bool:
    return {(await world.ask("outside", table.CLUSTER_IP, 80)).split()[0] for _ in range(6)} == {"pod-b"}


@pytest.mark.parametrize("mode", MODES)
def test_a_slow_a_deaf_and_a_silent_api_are_lived_through(net: Net, mode: str) -> None:
    patience = Patience(request=0.5, watch=0.5, answer=60)

    async def story(world: World) -> None:
        put(world, *web(f"{PODS['pod-a']}@node-a"), *more_services())
        server = SlowApi(world.api)
        async with server.serving() as url, Client(HttpTransport(Access(url), patience=patience)) as client:
            server.pause = 0.04  # some 13 KB/s: no list is complete within the patience for silence
            async with world.proxy(client):
                server.pause = 0.0
                assert await only_pod_a(world)

                server.deaf = True
                world.api.break_watches()
                put(world, endpoint_slice("web", f"{PODS['pod-b']}@node-a", port=8080))
                await world.until(lambda: given_up(server, 6))
                assert await only_pod_a(world)
                assert [await world.status(path) for path in ("/livez", "/healthz")] == [200, 200]
                server.deaf = False
                await world.until(lambda: only_pod_b(world))

                server.stall()
                put(world, endpoint_slice("web", f"{PODS['pod-a']}@node-a", port=8080))
                await world.until(lambda: only_pod_a(world))
                assert server.most_open <= 8  # four watches, and what is asked besides

    async def given_up(server: SlowApi, number: int) -> bool:
        return server.given_up >= number

    inside(net, mode, story)


BACKENDS: dict[str, Callable[[RuleSettings], Backend]] = {"nftables": NftablesBackend, "iptables": open_iptables}


@pytest.mark.parametrize("mode", MODES)
def test_a_proxy_killed_while_it_writes_leaves_what_the_next_one_mends(net: Net, mode: str) -> None:
    place = Place()
    states = [[*web(*table.LOCAL_AND_REMOTE[: 1 + n]), *more_services()] for n in range(3)]
    wanted = plans_of(tracker_of(place, states[0]))
    with netns.entered(net.name("node")):
        try:
            for round_ in range(5):
                _write_until_killed(mode, place, states, after=0.02 + 0.01 * round_)
                backend = BACKENDS[mode](place.settings)
                asyncio.run(backend.full_sync(wanted))
                again = asyncio.run(backend.full_sync(wanted))
                backend.close()
                assert again.writes == 0
                assert net.ask("outside", table.CLUSTER_IP, 80).startswith("pod-a")
        finally:
            remove_tables()
            remove_chains()


def _write_until_killed(mode: str, place: Place, states: list[list[Any]], *, after: float) -> None:
    """A child that changes rules as fast as it can, and is killed with SIGKILL after some seconds."""
    plans = [plans_of(tracker_of(place, state)) for state in states]
    ready, begun = os.pipe()
    child = os.fork()
    if child == 0:
        backend = BACKENDS[mode](place.settings)
        asyncio.run(backend.full_sync(plans[0]))
        os.write(begun, b"!")
        while True:
            for plan in plans:
                asyncio.run(backend.sync(plan))
    os.read(ready, 1)
    signal.sigtimedwait((), after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
    os.close(begun)


def test_node_ports_answer_on_loopback_in_iptables_mode(net: Net) -> None:
    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            assert (await world.ask("node", "127.0.0.1", table.NODE_PORT)).split()[0] in PODS

    inside(net, "iptables", story)


@pytest.mark.parametrize("mode", MODES)
def test_both_families_at_once(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        both = service("web", port=80, target_port=8080, cluster_ip=table.CLUSTER_IP)
        both["spec"] |= {"clusterIPs": [table.CLUSTER_IP, "fd00:96::a"], "ipFamilies": ["IPv4", "IPv6"]}
        put(world, both, endpoint_slice("web", f"{PODS['pod-a']}@node-a", port=8080))
        put(world, endpoint_slice("web", "fd00:244:1::3@node-a", port=8080, name="web-6"))
        families: dict[str, Any] = {"cluster_cidr": "10.244.0.0/16,fd00:244::/32"}
        async with world.proxy(service_cidrs=("10.96.0.0/16", "fd00:96::/112"), **families):
            assert (await world.ask("outside", table.CLUSTER_IP, 80)).startswith("pod-a")
            assert (await world.ask("pod-a", "fd00:96::a", 80)).startswith("pod-b fd00:244:1::2")
            assert await world.ask("pod-a", "fd00:96::a", 81) == "refused"
            assert await world.ask("pod-a", "fd00:96::b", 80, timeout=0.2) == "silence"

    inside(net, mode, story)
