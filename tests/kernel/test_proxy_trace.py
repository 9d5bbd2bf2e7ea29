"""The tracer on rules that are in a kernel: it says of live rules what the behaviour table says of packets."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import NODE, Place, outcomes, place_of, plans_of, say, tracker_of
from tests.unit.proxy.proxy_families import in_family

from kubesvc.linux import netns
from kubesvc.linux.iptables import Iptables
from kubesvc.proxy.backend import Backend, BackendError
from kubesvc.proxy.iptables.backend import IptablesBackend
from kubesvc.proxy.iptables.live import LiveChains, read_chains
from kubesvc.proxy.live import LiveRules
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.backend import NftablesBackend
from kubesvc.proxy.nftables.live import read_table
from kubesvc.proxy.rules import PodSource
from kubesvc.proxy.tracing import Question, answer
from kubesvc.testing.builders import endpoint_slice, service

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]

SOURCES = {**table.SOURCES, **table.EXTRA_SOURCES}
DESTINATIONS = {**table.DESTINATIONS, **table.EXTRA_DESTINATIONS}


def iptables(place: Place, variant: str) -> Backend:
    return IptablesBackend(place.settings, Iptables(ipv6=place.family is Family.IPV6, variant=variant))


BACKENDS: dict[str, Callable[[Place], Backend]] = {
    "nftables": lambda place: NftablesBackend(place.settings),
    "iptables-nft": lambda place: iptables(place, "nft"),
    "iptables-legacy": lambda place: iptables(place, "legacy"),
}
WEB = table.everything(*table.LOCAL_AND_REMOTE)


@contextmanager
def node() -> Iterator[None]:
    """A namespace with the addresses of the table's node."""
    name = f"kpt{os.getpid()}"
    netns.create(name)
    try:
        with netns.entered(name):
            for address in Place().local:
                if address != table.LOOPBACK:
                    run("ip", "addr", "add", address, "dev", "lo")
            yield
    finally:
        netns.delete(name)


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def rules(backend: str, place: Place, objects: tuple[table.Document, ...]) -> Iterator[LiveRules]:
    with node():
        kernel = BACKENDS[backend](place)
        try:
            asyncio.run(kernel.full_sync(plans_of(tracker_of(place, objects))))
            yield read(place.family)
        finally:
            kernel.close()


def read(family: Family = Family.IPV4) -> LiveRules:
    found = read_table(family) or read_chains(family)
    assert found is not None
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_live_rules_are_traced_as_the_table_says(backend: str) -> None:
    wrong = {}
    for case in table.CASES:
        place = Place(zone=case.zone, **case.options)
        with rules(backend, place, case.objects) as live:
            for packet, wanted in case.packets.items():
                source, _, destination = packet.partition(" -> ")
                to = f"{case.protocol.lower()}/{DESTINATIONS[destination]}"
                found = table.shorten(say(outcomes(live.engine(place.local), SOURCES[source], to)))
                if found != wanted:
                    wrong[case.name, packet] = (found, wanted)
            differences = live.differences(plans_of(tracker_of(place, case.objects)))
            if differences:
                wrong[case.name, "differences"] = (str(differences), "none")

    assert wrong == {}


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_answer_names_endpoints_with_shares_and_where_the_kernel_differs(backend: str) -> None:
    place = Place()
    with rules(backend, place, WEB):
        found = answer(question())
        assert found.served
        assert [(each.target.ip, round(each.share, 2)) for each in found.candidates] == [
            (address, 0.33) for address in sorted(each.split("@")[0] for each in table.LOCAL_AND_REMOTE)
        ]
        assert found.differences == ()

        meddle(backend)
        assert any("missing in the kernel" in line for line in answer(question()).differences)


MARKED = (
    *table.everything(f"{table.POD}@node-a", f"{table.REMOTE_POD}@node-b", externalTrafficPolicy="Local"),
    service("other", port=80, cluster_ip="10.96.0.11"),
    endpoint_slice("other", f"{table.SECOND_POD}@node-a", port=8080),
    service("third", port=80, cluster_ip="10.96.0.12", internalTrafficPolicy="Local"),
    endpoint_slice("third", f"{table.SECOND_POD}@node-a", port=8080),
)
"""Some Services, so that one that is not like the others shows."""
SETTINGS = {
    "as usual": Place(),
    "of IPv6": place_of(table.Case("", (), {}), Family.IPV6),
    "two ranges of pods, and of Services": Place(
        pods=PodSource(("10.244.0.0/16", "10.9.0.0/16")), service_cidrs=("10.96.0.0/16", "10.7.0.0/16")
    ),
    "pods behind a bridge": Place(pods=PodSource(interface="cni0")),
    "pods behind interfaces": Place(pods=PodSource(interface="veth*")),
    "no local detector": Place(pods=PodSource(), service_cidrs=()),
    "everything masqueraded": Place(masquerade_all=True, pods=PodSource()),
    "everything masqueraded, pods known": Place(masquerade_all=True),
    "node ports on chosen addresses": Place(nodeport_addresses=("192.0.2.0/24", "10.244.1.1")),
}


@pytest.mark.parametrize("place", SETTINGS.values(), ids=SETTINGS)
def test_static_rules_are_compared_whatever_they_were_made_from(place: Place) -> None:
    objects = table.everything(f"{table.SECOND_POD}@node-a", sessionAffinity="ClientIP")
    with rules("nftables", place, in_family(table.Case("", objects, {}), place.family).objects) as live:
        assert live.differences({}) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("insert rule ip kubesvc-proxy services ip daddr 10.96.0.10 drop", "too much in the kernel: chain services: "),
        ("flush chain ip kubesvc-proxy nat-postrouting", "missing in the kernel: chain nat-postrouting: "),
        ("add chain ip kubesvc-proxy nat-output { policy drop; }", "missing in the kernel: chain nat-output: type nat"),
    ],
)
def test_static_rules_that_somebody_changed_are_named(command: str, said: str) -> None:
    with rules("nftables", Place(), WEB):
        run("nft", command)
        assert any(line.startswith(said) for line in read().differences({}))


@pytest.mark.parametrize("backend", ["iptables-nft", "iptables-legacy"])
@pytest.mark.parametrize("place", SETTINGS.values(), ids=SETTINGS)
def test_masquerade_marks_are_compared_whatever_they_were_made_from(backend: str, place: Place) -> None:
    objects = in_family(table.Case("", MARKED, {}), place.family).objects
    with rules(backend, place, objects) as live:
        assert live.differences(plans_of(tracker_of(place, objects))) == []


@pytest.mark.parametrize("backend", ["iptables-nft", "iptables-legacy"])
@pytest.mark.parametrize(
    ("chain", "change", "said"),
    [
        ("KUBE-SVC-", "-D {0} 1", "missing in the kernel: -A {0} ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ"),
        ("KUBE-SVC-", "-I {0} -j KUBE-MARK-MASQ", "too much in the kernel: -A {0} -j KUBE-MARK-MASQ"),
        ("KUBE-MARK-MASQ", "-F {0}", "missing in the kernel: -A {0} -j MARK"),
        ("KUBE-POSTROUTING", "-F {0}", "missing in the kernel: -A {0} -j MASQUERADE"),
        ("KUBE-MARK-MASQ", "-R {0} 1 -j MARK --or-mark 0x1", "wrong in the kernel: KUBE-POSTROUTING clears another "),
    ],
)
def test_masquerade_marks_that_somebody_changed_are_named(backend: str, chain: str, change: str, said: str) -> None:
    place = Place()
    plans = plans_of(tracker_of(place, MARKED))
    with rules(backend, place, MARKED) as live:
        assert isinstance(live, LiveChains)
        own = [name for _, name in live.listing.rules if name.startswith(chain)]
        run(backend, "-t", "nat", *change.format(own[0]).split())
        assert any(line.startswith(said.format(own[0])) for line in read().differences(plans))


def meddle(backend: str) -> None:
    """Take one endpoint out, as another program might."""
    if backend == "nftables":
        run("nft", "delete element ip kubesvc-proxy endpoints-tcp { 0:4000 . 0 }")
        return
    live = read_chains(Family.IPV4)
    assert live is not None
    chain = next(chain for table_, chain in live.listing.rules if chain.startswith("KUBE-SEP-"))
    run(backend, "-t", "nat", "-F", chain)


def question() -> Question:
    plans = plans_of(tracker_of(Place(), WEB))
    return Question(table.POD, table.CLUSTER_IP, 80, "TCP", NODE, (table.NODE_IP,), plans)


def test_a_node_without_rules_is_said_to_have_none() -> None:
    with node(), pytest.raises(BackendError, match="no Service rules"):
        answer(question())
