"""Bytes per Service and per endpoint, counted in the kernel while real packets pass."""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.kernel.proxy_net import NODE_ADDRESS, NODE_ADDRESS6, PODS, PODS6, PORT, Net, serve, topology
from tests.kernel.test_proxy_daemon import MODES, World, inside
from tests.unit.proxy.proxy_engines import Place, plans_of, tracker_of

from kubesvc.aio.clock import SystemClock
from kubesvc.linux import netns
from kubesvc.linux.conntrack import ConntrackSocket
from kubesvc.linux.iptables import Iptables
from kubesvc.linux.nft import NftError, NftMissing
from kubesvc.proxy import tracing, traffic_table
from kubesvc.proxy.backend import Backend, BackendError
from kubesvc.proxy.iptables.backend import IptablesBackend, remove_chains
from kubesvc.proxy.kernel import local_addresses, remove_rules
from kubesvc.proxy.model import Family, PortPlan, ServicePortName, Target
from kubesvc.proxy.nftables.backend import NftablesBackend, remove_tables
from kubesvc.proxy.rules import PodSource
from kubesvc.proxy.tracing import Question
from kubesvc.proxy.traffic import Direction, Traffic
from kubesvc.proxy.traffic_layout import SIZE, layout
from kubesvc.proxy.traffic_table import TrafficCounts, TrafficTable, remove_traffic_tables
from kubesvc.proxy.verdict import Carried
from kubesvc.testing.builders import endpoint_slice, service

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]

BACKENDS = ("nftables", "iptables-nft", "iptables-legacy")
WEB = ServicePortName("default", "web", "", "UDP")
NODE_PORT = 30080
UDP = 17
PLACES = {
    Family.IPV4: Place(),
    Family.IPV6: Place(
        Family.IPV6, addresses=(NODE_ADDRESS6,), pods=PodSource(("fd00:244::/32",)), service_cidrs=("fd00:96::/112",)
    ),
}
VIPS = {Family.IPV4: "10.96.0.10", Family.IPV6: "fd00:96::a"}
OTHER_VIPS = {Family.IPV4: "10.96.0.11", Family.IPV6: "fd00:96::b"}
NODES = {Family.IPV4: NODE_ADDRESS, Family.IPV6: NODE_ADDRESS6}
VIP = VIPS[Family.IPV4]
LABELS = 'namespace="default",service="web",port="",protocol="UDP"'
HEADERS = {Family.IPV4: 20 + 8, Family.IPV6: 40 + 8}
SEVERAL_LOOKS = 30.0
"""Seconds: between two looks at the counters are twenty times as many as one takes."""
QUESTION = 1
"""Bytes of what a client of `proxy_net` sends."""
WAYS = {
    "a pod to another": ("pod-a", VIPS, 80, "pod-b"),
    "a pod to itself": ("pod-b", VIPS, 80, "pod-b"),
    "the node to a pod": ("node", VIPS, 80, "pod-b"),
    "the node to itself": ("node", VIPS, 80, "node"),
    "outside to a pod by node port": ("outside", NODES, NODE_PORT, "pod-b"),
    "outside to the node by node port": ("outside", NODES, NODE_PORT, "node"),
}


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with topology() as made:
        serve(made, "node")
        yield made


def address_of(role: str, family: Family) -> str:
    pods = PODS if family is Family.IPV4 else PODS6
    return NODES[family] if role == "node" else pods[role]


def open_backend(name: str, place: Place) -> Backend:
    if name == "nftables":
        return NftablesBackend(place.settings)
    variant = name.removeprefix("iptables-")
    settings = replace(place.settings, localhost_nodeports=place.family is Family.IPV4)
    return IptablesBackend(settings, Iptables(ipv6=place.family is Family.IPV6, variant=variant))


class Counted:
    """A node with Services, and its bytes by direction."""

    def __init__(self, family: Family, plans: dict[ServicePortName, PortPlan], table: TrafficTable) -> None:
        self.family, self.plans, self.table = family, plans, table

    def look(self) -> Traffic:
        traffic = Traffic()
        found = self.table.read()
        traffic.update(found, self.table.parse, self.plans, local=local_addresses(), now=0)
        return traffic


@contextmanager
def counting(
    net: Net, family: Family, backend: str = "nftables", endpoint: str = "pod-b", protocol: str = "UDP"
) -> Iterator[Counted]:
    """Two Services `web` and `other` of one endpoint, in force and counted, in this thread's namespace."""
    place, where = PLACES[family], f"{address_of(endpoint, family)}@node-a"
    objects = (
        service("web", port=80, cluster_ip=VIPS[family], node_port=NODE_PORT, protocol=protocol, target_port=PORT),
        endpoint_slice("web", where, port=PORT, protocol=protocol),
        service("other", port=80, cluster_ip=OTHER_VIPS[family], protocol=protocol, target_port=PORT),
        endpoint_slice("other", where, port=PORT, protocol=protocol),
    )
    plans = plans_of(tracker_of(place, objects))
    with netns.entered(net.name("node")):
        _forget_flows(family)
        kernel = open_backend(backend, place)
        try:
            assert not asyncio.run(kernel.full_sync(plans)).refused
            table = TrafficTable(family, endpoints=True)
            table.ensure()
            yield Counted(family, plans, table)
        finally:
            kernel.close()
            remove_tables()
            remove_chains()
            remove_traffic_tables()


def _forget_flows(family: Family) -> None:
    """A client that happens to get the port of an earlier one would be sent to the earlier one's endpoint."""
    socket = ConntrackSocket("ip" if family is Family.IPV4 else "ip6")
    try:
        for flow in list(socket.flows(UDP)):
            socket.delete(flow)
    finally:
        socket.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_packet_is_counted_once(net: Net, backend: str, family: Family, way: str) -> None:
    client, addresses, port, server = WAYS[way]
    with counting(net, family, backend, server) as counted:
        answers = [net.ask(client, addresses[family], port, udp=True, timeout=2) for _ in range(3)]
        traffic = counted.look()

    assert {answer.split()[0] for answer in answers} == {server}
    asked = 3 * (HEADERS[family] + QUESTION)
    answered = sum(HEADERS[family] + len(answer) for answer in answers)
    other = WEB._replace(service="other")
    assert traffic.services == {
        (WEB, Direction.REQUEST): asked,
        (WEB, Direction.RESPONSE): answered,
        (other, Direction.REQUEST): 0,
        (other, Direction.RESPONSE): 0,
    }
    target = Target(address_of(server, family), PORT)
    assert traffic.endpoints == {
        (WEB, target, Direction.REQUEST): asked,
        (WEB, target, Direction.RESPONSE): answered,
    }


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_connection_is_counted_as_its_endpoint_sees_it(net: Net, backend: str, family: Family) -> None:
    """Handshake, data and farewell over TCP, beside counters in the endpoint's own namespace."""
    ip = "ip" if family is Family.IPV4 else "ip6"
    sides = [("input", f"tcp dport {PORT}"), ("output", f"tcp sport {PORT}")]
    chains = " ".join(
        f"chain {hook} {{ type filter hook {hook} priority 0; {match} counter; }};" for hook, match in sides
    )
    with counting(net, family, backend, protocol="TCP") as counted:
        net.exec("pod-b", "nft", f"table {ip} seen {{ {chains} }}")
        try:
            assert net.ask("pod-a", VIPS[family], 80, timeout=2).startswith("pod-b")
            deadline = time.monotonic() + 5  # the farewell comes after the answer
            while True:
                listed = net.exec("pod-b", "nft", "list", "table", ip, "seen")
                seen = tuple(int(number) for number in re.findall(r"bytes (\d+)", listed))
                services = counted.look().services
                found = tuple(services[WEB._replace(protocol="TCP"), way] for way in Direction)
                if found == seen or time.monotonic() > deadline:
                    break
        finally:
            net.exec("pod-b", "nft", "delete", "table", ip, "seen")

    assert found == seen
    assert min(seen) > 3 * (HEADERS[family] - 8 + 20)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_traced_packet_shows_the_bytes_of_those_before(net: Net, backend: str) -> None:
    family = Family.IPV4
    with counting(net, family, backend) as counted:
        answer = net.ask("pod-a", VIP, 80, udp=True, timeout=2)
        question = Question(PODS["pod-a"], VIP, 80, "UDP", "node-a", (NODE_ADDRESS,), counted.plans)
        traced = tracing.answer(question)
        remove_traffic_tables()
        uncounted = tracing.answer(question)

    carried = Carried(HEADERS[family] + QUESTION, HEADERS[family] + len(answer))
    assert traced.carried == carried
    assert [each.carried for each in traced.candidates] == [carried]
    assert uncounted.served
    assert uncounted.carried is None


@pytest.mark.parametrize("family", Family)
def test_another_programs_translations_are_left_out(net: Net, family: Family) -> None:
    ip = "ip" if family is Family.IPV4 else "ip6"
    target = f"{PODS['pod-b']}:{PORT}" if family is Family.IPV4 else f"[{PODS6['pod-b']}]:{PORT}"
    foreign = "10.9.9.9" if family is Family.IPV4 else "fd00:9::9"
    with counting(net, family) as counted:
        rule = f"{ip} daddr {foreign} udp dport 80 dnat to {target}"
        net.exec(
            "node", "nft", f"table {ip} somebody {{ chain nat {{ type nat hook prerouting priority -90; {rule}; }}; }}"
        )
        try:
            answer = net.ask("pod-a", foreign, 80, udp=True, timeout=2)
        finally:
            net.exec("node", "nft", "delete", "table", ip, "somebody")
        in_kernel, traffic = counted.table.read(), counted.look()

    assert answer.startswith("pod-b")
    assert list(in_kernel[Direction.REQUEST].values()) == [HEADERS[family] + QUESTION]
    assert set(traffic.services.values()) == {0}
    assert traffic.endpoints == {}


def test_a_full_set_loses_only_counting(net: Net) -> None:
    family = Family.IPV4
    with counting(net, family) as counted:
        remove_traffic_tables()
        text = layout(family, endpoints=True).text
        assert text.count(f"size {SIZE};") == len(Direction)
        net.exec("node", "nft", text.replace(f"size {SIZE};", "size 1;"))
        answers = [net.ask("pod-a", vip, 80, udp=True, timeout=2) for vip in (VIPS[family], OTHER_VIPS[family])]
        traffic = counted.look()

    assert [answer.split()[0] for answer in answers] == ["pod-b", "pod-b"]
    assert traffic.services[WEB, Direction.REQUEST] == HEADERS[family] + QUESTION
    assert traffic.services[WEB._replace(service="other"), Direction.REQUEST] == 0


def test_a_table_in_order_is_kept_and_any_other_made_anew(net: Net) -> None:
    with counting(net, Family.IPV4) as counted:
        net.ask("pod-a", VIPS[Family.IPV4], 80, udp=True, timeout=2)
        before = counted.table.read()
        TrafficTable(Family.IPV4, endpoints=True).ensure()
        assert counted.table.read() == before
        assert before[Direction.REQUEST]

        net.exec("node", "nft", "flush", "chain", "ip", "kubesvc-traffic", "count")
        counted.table.ensure()
        net.ask("pod-a", VIPS[Family.IPV4], 80, udp=True, timeout=2)
        assert counted.look().services[WEB, Direction.REQUEST] == HEADERS[Family.IPV4] + QUESTION

        other = TrafficTable(Family.IPV4, endpoints=False)
        other.ensure()
        net.ask("pod-a", VIPS[Family.IPV4], 80, udp=True, timeout=2)
        (key,) = other.read()[Direction.REQUEST]
        assert other.parse(key).endpoint is None


def test_what_was_counted_before_a_start_is_not_lost_to_a_look_before_the_first_sync(net: Net) -> None:
    with counting(net, Family.IPV4) as counted:
        net.ask("pod-a", VIP, 80, udp=True, timeout=2)
        counts = TrafficCounts(counted.table, local_addresses, SystemClock())
        counts.look({})
        counts.look(counted.plans)

    assert counts.traffic.services[WEB, Direction.REQUEST] == HEADERS[Family.IPV4] + QUESTION


def test_without_nftables_the_flag_is_named_with_a_way_out(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise NftMissing("libnftables.so.1 is not installed")

    monkeypatch.setattr(traffic_table, "Nft", missing)
    with netns.entered(net.name("node")), pytest.raises(BackendError) as found:
        TrafficTable(Family.IPV4, endpoints=False).ensure()

    assert isinstance(found.value.__cause__, NftError)
    assert str(found.value) == (
        "--traffic-bytes counts in nftables, in every mode, which is not usable here: "
        "libnftables.so.1 is not installed; install nftables in a kernel with nf_tables, or leave --traffic-bytes out"
    )


@pytest.mark.parametrize("mode", MODES)
def test_bytes_are_exported_and_outlive_the_proxy(net: Net, mode: str) -> None:
    async def story(world: World) -> None:
        world.api.put(service("web", port=80, cluster_ip=VIP, protocol="UDP", target_port=PORT))
        world.api.put(endpoint_slice("web", f"{PODS['pod-b']}@node-a", port=PORT, protocol="UDP"))
        async with world.proxy(traffic_bytes=True, endpoint_metrics=True):
            answer = await world.ask("pod-a", VIP, 80, udp=True, timeout=2)
            assert answer.split()[0] == "pod-b"
            size = HEADERS[Family.IPV4] + len(answer)
            await world.until(lambda: shows(world, size), SEVERAL_LOOKS)
            await world.run("nft", "list", "ruleset")  # which some layouts crash
        async with world.proxy(traffic_bytes=True, endpoint_metrics=True):
            await world.until(lambda: shows(world, size), SEVERAL_LOOKS)
            await world.run("nft", "flush", "ruleset")
            await world.until(lambda: counts_on(world, size), SEVERAL_LOOKS)
        assert "kubesvc-traffic" in await world.run("nft", "list", "tables")
        async with world.proxy():
            assert "kubesvc-traffic" not in await world.run("nft", "list", "tables")

    async def shows(world: World, size: int) -> bool:
        service_bytes = await world.metric(f'kubesvc_proxy_service_bytes_total{{{LABELS},direction="response"}}')
        labels = f'{LABELS},endpoint="{PODS["pod-b"]}:{PORT}",direction="response"'
        endpoint_bytes = await world.metric(f"kubesvc_proxy_endpoint_bytes_total{{{labels}}}")
        return service_bytes == endpoint_bytes == size

    async def counts_on(world: World, size: int) -> bool:
        await world.ask("pod-a", VIP, 80, udp=True, timeout=0.1)
        return await world.metric(f'kubesvc_proxy_service_bytes_total{{{LABELS},direction="response"}}') > size

    inside(net, mode, story)


def test_cleanup_removes_the_counters_too(net: Net) -> None:
    async def story(world: World) -> None:
        async with world.proxy(traffic_bytes=True):
            assert "kubesvc-traffic" in await world.run("nft", "list", "tables")

    inside(net, "nftables", story)
    with netns.entered(net.name("node")):
        assert "traffic counters IPv4" in remove_rules()
        assert "kubesvc" not in net.exec("node", "nft", "list", "tables")
