"""The proxy's behaviour table with real packets through both backends."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from tests.kernel.proxy_net import NODE_ADDRESS, OTHER_ADDRESS, OUTSIDE_ADDRESS, PODS, Net, topology
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import Place, plans_of, tracker_of

from kubesvc.linux import netns
from kubesvc.linux.iptables import Iptables
from kubesvc.proxy.backend import Backend
from kubesvc.proxy.iptables.backend import IptablesBackend, remove_chains
from kubesvc.proxy.nftables.backend import NftablesBackend, remove_tables

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]

SENDERS = {
    "pod": ("pod-a", PODS["pod-a"]),
    "pod2": ("pod-b", PODS["pod-b"]),
    "remote": ("remote", PODS["remote"]),
    "node": ("node", NODE_ADDRESS),
    "outside": ("outside", OUTSIDE_ADDRESS),
    "other": ("outside", OTHER_ADDRESS),
}
SHORT = {"pod-a": "102", "pod-b": "103", "remote": "202"}
DESTINATIONS = {**table.DESTINATIONS, **table.EXTRA_DESTINATIONS}
ENOUGH = 200
"""Connections after which a target with one chance in three was met for certain."""


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with topology() as made:
        yield made


def open_backend(name: str, place: Place) -> Backend:
    if name == "nftables":
        return NftablesBackend(place.settings)
    return IptablesBackend(place.settings, Iptables(ipv6=False, variant=name.removeprefix("iptables-")))


BACKENDS = ("nftables", "iptables-nft", "iptables-legacy")
REAL = [case for case in table.CASES if case.protocol != "SCTP"]


@pytest.mark.parametrize("case", REAL, ids=lambda case: case.name)
@pytest.mark.parametrize("backend", BACKENDS)
def test_real_packets_go_where_the_table_says(net: Net, backend: str, case: table.Case) -> None:
    place = Place(zone=case.zone, **case.options)
    with netns.entered(net.name("node")):
        kernel = open_backend(backend, place)
        try:
            asyncio.run(_load(kernel, place, case))
            wanted = {packet: answer for packet, answer in case.packets.items() if _sendable(packet, answer)}
            found = {
                packet: observe(net, packet, answer, udp=case.protocol == "UDP") for packet, answer in wanted.items()
            }
        finally:
            kernel.close()
            remove_tables()
            remove_chains()

    assert found == wanted


async def _load(kernel: Backend, place: Place, case: table.Case) -> None:
    report = await kernel.full_sync(plans_of(tracker_of(place, case.objects)))
    assert not report.refused


def _sendable(packet: str, answer: str) -> bool:
    return answer != "pass" and packet.partition(" -> ")[0] in SENDERS


def observe(net: Net, packet: str, expected: str, *, udp: bool) -> str:
    """What a sender meets, in the table's words; asks until every expected target was met."""
    sender, _, destination = packet.partition(" -> ")
    role, source = SENDERS[sender]
    address, _, port = DESTINATIONS[destination].rpartition(":")
    bound = source if sender == "other" else ""
    met: set[str] = set()
    for _ in range(ENOUGH):
        answer = net.ask(role, address, int(port), udp=udp, source=bound, timeout=0.15 if expected == "drop" else 1.0)
        met.add(_word(answer, source))
        if " ".join(sorted(met)) == expected or not met <= set(expected.split()):
            break
    return " ".join(sorted(met))


def _word(answer: str, source: str) -> str:
    if answer in ("refused", "silence"):
        return {"refused": "reject", "silence": "drop"}[answer]
    server, _, client = answer.partition(" ")
    return SHORT.get(server, answer) + ("" if client == source else "*")
