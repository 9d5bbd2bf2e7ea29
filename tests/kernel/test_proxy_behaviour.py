"""The proxy's behaviour table with real packets through both backends."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from tests.kernel.proxy_net import (
    NODE_ADDRESS,
    NODE_ADDRESS6,
    OTHER_ADDRESS,
    OUTSIDE_ADDRESS,
    OUTSIDE_ADDRESS6,
    PODS,
    PODS6,
    Net,
    topology,
)
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import Place, place_of, plans_of, tracker_of
from tests.unit.proxy.proxy_families import destination, in_family
from tests.unit.proxy.proxy_vectors import MORE_DESTINATIONS, VECTORS

from kubesvc.linux import netns
from kubesvc.linux.iptables import Iptables
from kubesvc.proxy.backend import Backend
from kubesvc.proxy.iptables.backend import IptablesBackend, remove_chains
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.backend import NftablesBackend, remove_tables
from kubesvc.proxy.rules import PodSource

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]

SENDERS = {
    "pod": ("pod-a", PODS["pod-a"]),
    "pod2": ("pod-b", PODS["pod-b"]),
    "remote": ("remote", PODS["remote"]),
    "node": ("node", NODE_ADDRESS),
    "outside": ("outside", OUTSIDE_ADDRESS),
    "other": ("outside", OTHER_ADDRESS),
}
SENDERS6 = {
    "pod": ("pod-a", PODS6["pod-a"]),
    "pod2": ("pod-b", PODS6["pod-b"]),
    "remote": ("remote", PODS6["remote"]),
    "node": ("node", NODE_ADDRESS6),
    "outside": ("outside", OUTSIDE_ADDRESS6),
}
SHORT = {"pod-a": "102", "pod-b": "103", "remote": "202"}
DESTINATIONS = {**table.DESTINATIONS, **table.EXTRA_DESTINATIONS, **MORE_DESTINATIONS}
ENOUGH = 200
"""Connections after which a target with one chance in three was met for certain."""


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with topology() as made:
        yield made


def open_backend(name: str, place: Place) -> Backend:
    if name == "nftables":
        return NftablesBackend(place.settings)
    variant = name.removeprefix("iptables-")
    return IptablesBackend(place.settings, Iptables(ipv6=place.family is Family.IPV6, variant=variant))


BACKENDS = ("nftables", "iptables-nft", "iptables-legacy")
REAL = [case for case in (*table.CASES, *VECTORS) if case.protocol != "SCTP"]
IN_IPV6 = [case for case in REAL if case in VECTORS[:12] or "polic" in case.name or "range" in case.name]
EVERY = [*((case, Family.IPV4) for case in REAL), *((case, Family.IPV6) for case in IN_IPV6)]


def name_of(each: tuple[table.Case, Family]) -> str:
    case, family = each
    return case.name if family is Family.IPV4 else f"{case.name}, IPv6"


@pytest.mark.parametrize("case", EVERY, ids=name_of)
@pytest.mark.parametrize("backend", BACKENDS)
def test_real_packets_go_where_the_table_says(net: Net, backend: str, case: tuple[table.Case, Family]) -> None:
    send_and_compare(net, backend, *case)


def send_and_compare(net: Net, backend: str, case: table.Case, family: Family) -> None:
    mine = in_family(case, family)
    place = place_of(mine, family)
    with netns.entered(net.name("node")):
        kernel = open_backend(backend, place)
        try:
            asyncio.run(_load(kernel, place, mine))
            wanted = {packet: answer for packet, answer in mine.packets.items() if _sendable(packet, answer, family)}
            found = {
                packet: observe(net, packet, answer, family, udp=mine.protocol == "UDP")
                for packet, answer in wanted.items()
            }
        finally:
            kernel.close()
            remove_tables()
            remove_chains()

    assert found == wanted


@pytest.mark.parametrize("backend", BACKENDS)
def test_pods_behind_their_bridge_keep_their_addresses(net: Net, backend: str) -> None:
    answers = table.packets(cluster="pod: 103 202; outside: 103* 202*; node: 103* 202*", nodeport="pod: 103 202")
    objects = table.everything(f"{PODS['pod-b']}@node-a", f"{PODS['remote']}@node-b", externalTrafficPolicy="Local")
    case = table.Case("bridge", objects, answers, options={"pods": PodSource(interface="cni0")})
    send_and_compare(net, backend, case, Family.IPV4)


async def _load(kernel: Backend, place: Place, case: table.Case) -> None:
    report = await kernel.full_sync(plans_of(tracker_of(place, case.objects)))
    assert not report.refused


def _sendable(packet: str, answer: str, family: Family) -> bool:
    return answer != "pass" and packet.partition(" -> ")[0] in (SENDERS if family is Family.IPV4 else SENDERS6)


def observe(net: Net, packet: str, expected: str, family: Family, *, udp: bool) -> str:
    """What a sender meets, in the table's words; asks until every expected target was met."""
    sender, _, to = packet.partition(" -> ")
    role, source = (SENDERS if family is Family.IPV4 else SENDERS6)[sender]
    address, _, port = destination(DESTINATIONS[to], family).rpartition(":")
    bound = source if sender == "other" else ""
    met: set[str] = set()
    for _ in range(ENOUGH):
        timeout = 0.15 if expected == "drop" else 1.0
        answer = net.ask(role, address.strip("[]"), int(port), udp=udp, source=bound, timeout=timeout)
        met.add(_word(answer, source))
        if " ".join(sorted(met)) == expected or not met <= set(expected.split()):
            break
    return " ".join(sorted(met))


def _word(answer: str, source: str) -> str:
    if answer in ("refused", "silence"):
        return {"refused": "reject", "silence": "drop"}[answer]
    server, _, client = answer.partition(" ")
    return SHORT.get(server, answer) + ("" if client == source else "*")
