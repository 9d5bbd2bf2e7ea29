"""Session affinity with real packets: sticky, shared by a port's addresses, expiring, mended."""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kernel.proxy_net import NODE_ADDRESS6, OUTSIDE_ADDRESS6, PODS6, Net, topology
from tests.kernel.test_proxy_behaviour import open_backend
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import Document, Place, outcomes, plans_of, put, tracker_of

from kubesvc.linux import netns
from kubesvc.proxy.backend import Backend
from kubesvc.proxy.iptables.backend import remove_chains
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.backend import NftablesBackend, remove_tables
from kubesvc.proxy.nftables.live import read_table
from kubesvc.proxy.rules import PodSource
from kubesvc.testing.builders import endpoint_slice, service

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]

BACKENDS = ("nftables", "iptables-nft", "iptables-legacy")


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with topology() as made:
        yield made


class Rules:
    """A tracker and a backend on the test's node."""

    def __init__(self, net: Net, backend: Backend, place: Place) -> None:
        self.tracker = tracker_of(place, ())
        self._net, self._backend = net, backend

    def put(self, *documents: Document) -> None:
        put(self.tracker, *documents)
        with netns.entered(self._net.name("node")):
            asyncio.run(self._backend.sync(plans_of(self.tracker)))

    def start(self) -> None:
        with netns.entered(self._net.name("node")):
            asyncio.run(self._backend.full_sync({}))


@pytest.fixture(params=BACKENDS)
def rules(net: Net, request: pytest.FixtureRequest) -> Iterator[Rules]:
    yield from _rules(net, request.param, Place())


def _rules(net: Net, name: str, place: Place) -> Iterator[Rules]:
    with netns.entered(net.name("node")):
        backend = open_backend(name, place)
    made = Rules(net, backend, place)
    made.start()
    yield made
    with netns.entered(net.name("node")):
        backend.close()
        remove_tables()
        remove_chains()


def sticky(*endpoints: str, seconds: int = 10800, **spec: Any) -> tuple[Document, ...]:
    config = {"clientIP": {"timeoutSeconds": seconds}}
    return table.everything(*endpoints, sessionAffinity="ClientIP", sessionAffinityConfig=config, **spec)


def server(answer: str) -> str:
    return answer.split()[0]


def test_a_client_stays_with_one_endpoint_at_every_address(net: Net, rules: Rules) -> None:
    rules.put(*sticky(*table.LOCAL_AND_REMOTE))

    first = server(net.ask("outside", table.CLUSTER_IP, 80))

    destinations = [(table.CLUSTER_IP, 80), (table.NODE_IP, table.NODE_PORT), (table.BALANCER_IP, 80)] * 5
    assert {server(net.ask("outside", address, port)) for address, port in destinations} == {first}


def test_clients_spread(net: Net, rules: Rules) -> None:
    rules.put(*sticky(*table.LOCAL_AND_REMOTE))
    met = set()
    for number in range(200, 240):
        net.ip("outside", "addr", "replace", f"192.0.2.{number}/24", "dev", "eth0")
        met.add(server(net.ask("outside", table.CLUSTER_IP, 80, source=f"192.0.2.{number}")))

    assert met == {"pod-a", "pod-b", "remote"}


def test_a_client_of_a_removed_endpoint_is_bound_to_another(net: Net, rules: Rules) -> None:
    rules.put(*sticky(*table.LOCAL_AND_REMOTE))
    first = server(net.ask("outside", table.CLUSTER_IP, 80))
    address = {"pod-a": table.POD, "pod-b": table.SECOND_POD, "remote": table.REMOTE_POD}[first]

    rules.put(*sticky(*(endpoint for endpoint in table.LOCAL_AND_REMOTE if not endpoint.startswith(f"{address}@"))))

    second = {server(net.ask("outside", table.CLUSTER_IP, 80)) for _ in range(20)}
    assert len(second) == 1
    assert first not in second


def test_a_binding_expires(net: Net, rules: Rules) -> None:
    rules.put(*sticky(*table.LOCAL_AND_REMOTE, seconds=1))
    met = {server(net.ask("outside", table.CLUSTER_IP, 80)) for _ in range(30)}
    assert len(met) == 1

    for _ in range(12):
        net.exec("node", "sleep", "1.2")  # the kernel's own clock has to pass the time-out
        met.add(server(net.ask("outside", table.CLUSTER_IP, 80)))
        if len(met) > 1:
            return
    raise AssertionError("the binding never expired")


def test_ipv6_affinity_in_nftables(net: Net) -> None:
    place = Place(
        Family.IPV6, addresses=(NODE_ADDRESS6,), pods=PodSource(("fd00:244::/32",)), service_cidrs=("fd00:96::/112",)
    )
    with netns.entered(net.name("node")):
        backend = NftablesBackend(place.settings)
    rules = Rules(net, backend, place)
    rules.start()
    endpoints = [f"{address}@node-a" for address in PODS6.values()]

    def put(affinity: str) -> None:
        rules.put(
            service("web", port=80, cluster_ip="fd00:96::a", node_port=30080, sessionAffinity=affinity),
            endpoint_slice("web", *endpoints, port=8080),
        )

    put("None")
    assert {server(net.ask("outside", "fd00:96::a", 80)) for _ in range(40)} == {"pod-a", "pod-b", "remote"}
    assert net.ask("outside", "fd00:96::a", 81) == "refused"
    put("ClientIP")
    met = {
        server(net.ask("outside", address, port)) for address, port in [("fd00:96::a", 80), (NODE_ADDRESS6, 30080)] * 10
    }
    assert len(met) == 1
    with netns.entered(net.name("node")):
        assert {traced_to(place, source) for source in (OUTSIDE_ADDRESS6, PODS6["pod-a"])} == {
            frozenset({PODS6[met.pop()]}),
            frozenset(PODS6.values()),
        }
        backend.close()
        remove_tables()


def traced_to(place: Place, source: str) -> frozenset[str]:
    """Where the live rules would send a client, with what they remember of it."""
    live = read_table(place.family)
    assert live is not None
    found = outcomes(live.engine(place.local), source, "tcp/[fd00:96::a]:80", memory=live.memory(source))
    return frozenset(outcome.target.ip for outcome in found if outcome.target)
