"""The whole proxy in a node's namespace, fed by an API in memory."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from tests.kernel.proxy_net import NODE_ADDRESS, PODS, Net, topology
from tests.unit.proxy import proxy_behaviour as table

from kubesvc.api.resources import EVENTS
from kubesvc.client import Client
from kubesvc.linux import netns
from kubesvc.proxy.iptables.backend import remove_chains
from kubesvc.proxy.kernel import remove_rules
from kubesvc.proxy.nftables.backend import remove_tables
from kubesvc.proxy.run import ProxyOptions, run_with_client
from kubesvc.testing.builders import endpoint_slice, node, service
from kubesvc.testing.local import LocalTransport

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]

MODES = ("nftables", "iptables")
OPTIONS = ProxyOptions(
    None,
    "node-a",
    cluster_cidr="10.244.0.0/16",
    service_cidrs=("10.96.0.0/16",),
    healthz_bind="127.0.0.1:10256",
    metrics_bind="127.0.0.1:10249",
)
Ask = Callable[..., Awaitable[str]]


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with topology() as made:
        yield made


class World:
    """The API, the node, and ways to ask both."""

    def __init__(self, net: Net, mode: str) -> None:
        self.net, self.mode = net, mode
        self.api = LocalTransport(node("node-a", ip=NODE_ADDRESS))

    async def ask(self, role: str, address: str, port: int, **how: Any) -> str:
        return await asyncio.to_thread(lambda: self.net.ask(role, address, port, **how))

    async def run(self, *command: str) -> str:
        return await asyncio.to_thread(self.net.exec, "node", *command)

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.005)

    async def status(self, path: str) -> int:
        """What the health server answers; 0 if nobody does."""
        command = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:10256{path}")
        with suppress(AssertionError):
            return int(await self.run(*command))
        return 0

    async def metric(self, name: str) -> float:
        lines = (await self.run("curl", "-s", "http://127.0.0.1:10249/metrics")).splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    @asynccontextmanager
    async def proxy(self, client: Client | None = None, **changes: Any) -> AsyncIterator[None]:
        ready = asyncio.Event()
        options = replace(OPTIONS, mode=self.mode, ready=ready.set, **changes)
        task = asyncio.create_task(run_with_client(options, client or Client(self.api)))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            waiting.cancel()
            task.result()
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def inside(net: Net, mode: str, story: Callable[[World], Awaitable[None]]) -> None:
    """Run a story with this thread in the node's namespace; leave no rules behind."""
    with netns.entered(net.name("node")):
        try:
            asyncio.run(story(World(net, mode)))  # type: ignore[arg-type]
        finally:
            remove_tables()
            remove_chains()


def web(*endpoints: str, **spec: Any) -> tuple[dict[str, Any], ...]:
    return table.everything(*(endpoints or table.LOCAL_AND_REMOTE), **spec)


def put(world: World, *documents: dict[str, Any]) -> None:
    for document in documents:
        world.api.put(document)


@pytest.mark.parametrize("mode", MODES)
def test_a_changed_endpoint_is_in_force_at_once(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            put(world, endpoint_slice("web", f"{PODS['pod-b']}@node-a", port=8080))
            await world.until(lambda: only(world, "pod-b"), seconds=1)

    async def only(world: World, role: str) -> bool:
        return {(await world.ask("outside", table.CLUSTER_IP, 80)).split()[0] for _ in range(8)} == {role}

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
def test_rules_outlive_the_proxy_and_a_restart_takes_them_over(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web(sessionAffinity="ClientIP"), *more_services())
        async with world.proxy():
            first = (await world.ask("outside", table.CLUSTER_IP, 80)).split()[0]
        assert (await world.ask("outside", table.CLUSTER_IP, 80)).startswith(first)

        async with world.proxy():
            for _ in range(5):
                assert (await world.ask("outside", table.NODE_IP, table.NODE_PORT)).startswith(first)
            assert await world.metric("kubesvc_proxy_kernel_writes_total") == 0

    inside(net, mode, story)


def more_services() -> Iterator[dict[str, Any]]:
    for number in range(20):
        yield service(f"more-{number}", port=80, cluster_ip=f"10.96.1.{number + 1}")
        endpoints = [f"10.244.7.{number + index}@node-b" for index in range(number % 7)]
        yield endpoint_slice(f"more-{number}", *endpoints, port=8080)


@pytest.mark.parametrize("mode", MODES)
def test_a_restart_mends_what_changed_meanwhile(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web(), *more_services())
        async with world.proxy():
            pass
        put(world, endpoint_slice("web", f"{PODS['remote']}@node-b", port=8080))
        world.api.remove(resource("services"), "more-3", "default")
        async with world.proxy():
            assert {(await world.ask("outside", table.CLUSTER_IP, 80)).split()[0] for _ in range(9)} == {"remote"}
            assert await world.ask("pod-a", "10.96.1.4", 80, timeout=0.2) == "silence"
            assert await world.ask("pod-a", "10.96.1.1", 80) == "refused"

    inside(net, mode, story)


def resource(plural: str) -> Any:
    from kubesvc.api.resources import find_resource

    return find_resource(plural)


@pytest.mark.parametrize("mode", MODES)
def test_a_flush_by_somebody_else_is_mended_within_a_second(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            await world.run(*("nft flush ruleset" if mode == "nftables" else "iptables -t nat -F").split())
            await world.until(lambda: answers(world), seconds=1.5)
            assert await world.metric("kubesvc_proxy_repairs_total") >= 1

    inside(net, mode, story)


async def answers(world: World) -> bool:
    return (await world.ask("outside", table.CLUSTER_IP, 80, timeout=0.1)).split()[0] in PODS


@pytest.mark.parametrize("mode", MODES)
def test_changing_endpoints_under_load_loses_no_connection(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            flapping = asyncio.create_task(flap(world))
            met = [await world.ask("outside", table.CLUSTER_IP, 80, timeout=2) for _ in range(1500)]
            flapping.cancel()
            lost = [answer for answer in met if answer.split()[0] not in PODS]
            assert lost == []

    async def flap(world: World) -> None:
        """Endpoint sets between one and seven of which each address answers."""
        addresses = [f"{PODS['pod-a']}@node-a", f"{PODS['pod-b']}@node-a", f"{PODS['remote']}@node-b"]
        step = 0
        while True:
            step += 1
            put(world, endpoint_slice("web", *addresses[: 1 + step % 3], port=8080))
            await asyncio.sleep(0.001)

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
def test_bad_objects_cost_only_themselves(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        bad_range = service("bad-range", port=80, cluster_ip="10.96.9.1", load_balancer_ips=("203.0.113.50",))
        bad_range["spec"]["loadBalancerSourceRanges"] = ["not-a-range", "10.0.0.0/8"]
        bad_slice = endpoint_slice("bad-endpoint", f"{PODS['pod-a']}@node-a", port=8080)
        bad_slice["endpoints"].append({"addresses": ["not-an-address"], "conditions": {"ready": True}})
        bad_port = service("bad-port", port=80, cluster_ip="10.96.9.3")
        bad_port["spec"]["ports"].append({"name": "x", "port": 70000, "protocol": "TCP"})
        garbage = service("garbage", port=80, cluster_ip="10.96.9.4")
        garbage["spec"]["ports"] = "no list"
        put(world, bad_range, bad_slice, bad_port, garbage, *web())
        put(world, service("bad-endpoint", port=80, cluster_ip="10.96.9.2"))
        async with world.proxy():
            assert (await world.ask("outside", table.CLUSTER_IP, 80)).split()[0] in PODS
            assert (await world.ask("outside", "10.96.9.2", 80)).startswith("pod-a")
            assert await world.ask("outside", "10.96.9.3", 80) == "refused"
            await world.until(lambda: complained(world, {"bad-range", "bad-endpoint-1", "bad-port"}))

    async def complained(world: World, names: set[str]) -> bool:
        events = world.api.documents(resource("events"))
        about = [event["involvedObject"] for event in events if event["type"] == "Warning"]
        assert all(each.get("uid") for each in about)
        found = {each["name"] for each in about}
        return all(any(name.startswith(wanted.removesuffix("-1")) for name in found) for wanted in names)

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("address", [table.NODE_IP, "10.244.1.1"], ids=["node", "bridge"])
def test_udp_flows_of_a_removed_endpoint_are_forgotten(net: Net, mode: str, address: str) -> None:
    async def story(world: World) -> None:
        put(world, *web(f"{PODS['pod-a']}@node-a", protocol="UDP"))
        async with world.proxy(nodeport_addresses=("all",)):
            how: dict[str, Any] = {"udp": True, "source_port": 7777}
            assert (await world.ask("outside", address, table.NODE_PORT, **how)).startswith("pod-a")
            put(world, endpoint_slice("web", f"{PODS['pod-b']}@node-a", port=8080, protocol="UDP"))
            await world.until(lambda: moved(world, how))
            world.api.remove(resource("services"), "web", "default")
            await world.until(lambda: gone(world))

    async def moved(world: World, how: dict[str, Any]) -> bool:
        answer = await world.ask("outside", address, table.NODE_PORT, timeout=0.1, **how)
        return answer.startswith("pod-b")

    async def gone(world: World) -> bool:
        listed = await world.run("conntrack", "-L", "-p", "udp")
        return "sport=7777" not in listed

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
def test_a_connection_that_began_before_the_rules_is_made_when_they_come(net: Net, mode: str) -> None:
    """The kernel asks a nat chain about a flow's first packet only, and this one's is gone."""
    tracking = "table ip somebody { chain track { type filter hook forward priority 0; ct state new accept; }; }"

    async def story(world: World) -> None:
        put(world, *web(f"{PODS['pod-b']}@node-a"))
        await world.run("nft", tracking)
        asked = asyncio.create_task(world.ask("pod-a", table.CLUSTER_IP, 80, timeout=20))
        await world.until(lambda: known(world))
        async with world.proxy():
            assert await asked == f"pod-b {PODS['pod-a']}"
        await world.run("nft", "delete table ip somebody")

    async def known(world: World) -> bool:
        return f"dst={table.CLUSTER_IP}" in await world.run("conntrack", "-L", "-p", "tcp")

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
def test_cleanup_leaves_nothing(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        await world.run("iptables-nft", "-P", "FORWARD", "ACCEPT")
        await world.run("iptables-legacy", "-t", "nat", "-P", "PREROUTING", "ACCEPT")
        await world.run("nft", "add table ip somebody { chain x { }; }")
        before = await rules_of(world)
        put(world, *web(sessionAffinity="ClientIP"), *more_services())
        async with world.proxy():
            pass
        assert await rules_of(world) != before
        await asyncio.to_thread(remove_in_node)
        assert "KUBE-" not in await rules_of(world)
        assert "kubesvc" not in await rules_of(world)
        assert "table ip somebody" in await rules_of(world)
        await world.run("nft", "delete table ip somebody")

    async def rules_of(world: World) -> str:
        return await world.run("nft", "list", "ruleset") + await world.run("iptables-legacy-save")

    def remove_in_node() -> None:
        netns.run_in(net.name("node"), remove_rules)

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
def test_what_kube_proxy_left_in_nftables_goes_once_our_rules_are_there(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web())
        for family in ("ip", "ip6"):
            await world.run("nft", f"add table {family} kube-proxy {{ chain services {{ }}; }}")
        async with world.proxy():
            assert "kube-proxy {" not in await world.run("nft", "list", "ruleset")

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
def test_another_mode_removes_this_ones_rules(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            pass
        world.mode = next(other for other in MODES if other != mode)
        async with world.proxy():
            assert (await world.ask("outside", table.CLUSTER_IP, 80)).split()[0] in PODS
            ruleset = await world.run("nft", "list", "ruleset")
            assert ("kubesvc-proxy" in ruleset) is (world.mode == "nftables")
            assert ("KUBE-SERVICES" in ruleset) is (world.mode == "iptables")

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
def test_health_check_node_port(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web(externalTrafficPolicy="Local", healthCheckNodePort=32000))
        async with world.proxy():
            await world.until(lambda: answers_with(world, "200"))
            put(world, endpoint_slice("web", f"{PODS['remote']}@node-b", port=8080))
            await world.until(lambda: answers_with(world, "503"))

    async def answers_with(world: World, code: str) -> bool:
        command = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{NODE_ADDRESS}:32000/")
        with suppress(AssertionError):
            return (await asyncio.to_thread(world.net.exec, "outside", *command)) == code
        return False

    inside(net, mode, story)


def test_health_checks_are_served_as_soon_as_the_kernel_tells_the_addresses(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    def no_memory() -> list[str]:
        asked.set()
        raise OSError(errno.ENOBUFS, "No buffer space available")

    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            with monkeypatch.context() as meanwhile:
                meanwhile.setattr("kubesvc.proxy.run.local_addresses", no_memory)
                put(world, *web(externalTrafficPolicy="Local", healthCheckNodePort=32000))
                await asyncio.wait_for(asked.wait(), 5)
            put(world, service("other", port=80, cluster_ip="10.96.2.1"))
            await world.until(lambda: told(world))

    async def told(world: World) -> bool:
        return await world.ask("node", NODE_ADDRESS, 32000, timeout=0.2) != "refused"

    inside(net, "nftables", story)


@pytest.mark.parametrize(("mode", "everywhere"), [("nftables", False), ("iptables", True)])
def test_health_checks_and_node_ports_answer_on_the_same_addresses(net: Net, mode: str, *, everywhere: bool) -> None:
    async def story(world: World) -> None:
        put(world, *web(f"{PODS['pod-a']}@node-a", externalTrafficPolicy="Local", healthCheckNodePort=32000))
        async with world.proxy():
            await world.until(lambda: open_at(world, NODE_ADDRESS, 32000))
            assert await open_at(world, "10.244.1.1", 32000) is everywhere
            assert await open_at(world, NODE_ADDRESS, table.NODE_PORT)
            assert await open_at(world, "10.244.1.1", table.NODE_PORT) is everywhere
            assert await open_at(world, "127.0.0.1", table.NODE_PORT) is everywhere

    async def open_at(world: World, address: str, port: int) -> bool:
        return await world.ask("node", address, port, timeout=0.2) != "refused"

    inside(net, mode, story)


def test_services_are_served_also_while_the_port_of_healthz_is_taken(net: Net) -> None:
    async def story(world: World) -> None:
        put(world, *web())
        with socket.create_server(("127.0.0.1", 10256)):
            async with world.proxy():
                assert await answers(world)
                await world.until(lambda: told(world))

    async def told(world: World) -> bool:
        reasons = {event["reason"] for event in world.api.documents(EVENTS)}
        return reasons == {"FailedToStartProxierHealthcheck", "Starting"}

    inside(net, "nftables", story)


def test_packets_that_conntrack_cannot_make_sense_of_are_dropped_and_counted_in_iptables_mode(net: Net) -> None:
    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            assert await world.metric("kubeproxy_iptables_ct_state_invalid_dropped_packets_total") == 0
            netns.run_in(net.name("outside"), send_nonsense)
            await world.until(lambda: counted(world))

    async def counted(world: World) -> bool:
        return await world.metric("kubeproxy_iptables_ct_state_invalid_dropped_packets_total") == 1

    inside(net, "iptables", story)


def send_nonsense() -> None:
    """A TCP segment of zeros, through the node to a pod."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as sock:
        sock.sendto(bytes(20), (PODS["remote"], 0))


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_written_before_both_caches_are_complete(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            pass
        before = await world.run("nft", "list", "ruleset")
        world.api.set_reachable(reachable=False)
        options = replace(OPTIONS, mode=world.mode)
        task = asyncio.create_task(run_with_client(options, Client(world.api)))
        await world.until(lambda: healthz(world, 503))
        assert _without_counters(await world.run("nft", "list", "ruleset")) == _without_counters(before)
        world.api.set_reachable(reachable=True)
        await world.until(lambda: healthz(world, 200))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def healthz(world: World, code: int) -> bool:
        return await world.status("/healthz") == code

    inside(net, mode, story)


def _without_counters(ruleset: str) -> list[str]:
    return [line for line in ruleset.splitlines() if "packets" not in line]


@pytest.mark.parametrize("mode", MODES)
def test_connections_are_counted_per_service_and_endpoint(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        put(world, *web(f"{PODS['pod-a']}@node-a"), service("quiet", port=80, cluster_ip="10.96.1.1"))
        async with world.proxy(endpoint_metrics=True):
            for _ in range(3):
                await world.ask("outside", table.CLUSTER_IP, 80)
            await world.ask("outside", table.NODE_IP, table.NODE_PORT)
            await world.until(lambda: counted(world, "service_connections_total", 'service="web"', 4))
            await world.until(lambda: counted(world, "endpoint_connections_total", PODS["pod-a"], 4))
            assert await counted(world, "service_connections_total", 'service="quiet"', 0)

    async def counted(world: World, name: str, label: str, number: int) -> bool:
        lines = (await world.run("curl", "-s", "http://127.0.0.1:10249/metrics")).splitlines()
        found = [line for line in lines if line.startswith(f"kubesvc_proxy_{name}{{") and label in line]
        return [line.split()[-1] for line in found] == [str(number)]

    inside(net, mode, story)


@pytest.mark.parametrize("mode", MODES)
def test_addresses_of_a_new_service_range_are_not_let_out(net: Net, mode: str) -> None:
    more = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "more"},
        "spec": {"cidrs": ["198.51.100.0/24"]},
    }

    async def story(world: World) -> None:
        put(world, *web())
        async with world.proxy():
            assert await world.ask("pod-a", "198.51.100.3", 80) == "refused"  # by the host that has the address
            put(world, more)
            await world.until(lambda: silent(world))
            world.api.remove(resource("servicecidrs"), "more")
            await world.until(lambda: refused(world))
            assert await answers(world)

    async def silent(world: World) -> bool:
        return await world.ask("pod-a", "198.51.100.3", 80, timeout=0.2) == "silence"

    async def refused(world: World) -> bool:
        return await world.ask("pod-a", "198.51.100.3", 80, timeout=0.2) == "refused"

    inside(net, mode, story)
