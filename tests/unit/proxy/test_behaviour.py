"""The behaviour table on every backend, by the packet tracer."""

from dataclasses import replace

import pytest
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import ENGINES, Document, Place, outcomes, place_of, plans_of, say, tracker_of
from tests.unit.proxy.proxy_families import destination, in_family, six
from tests.unit.proxy.proxy_vectors import MORE_DESTINATIONS, VECTORS

from kubesvc.proxy.model import Family
from kubesvc.proxy.rules import PodSource

SOURCES = {**table.SOURCES, **table.EXTRA_SOURCES}
DESTINATIONS = {**table.DESTINATIONS, **table.EXTRA_DESTINATIONS, **MORE_DESTINATIONS}


def trace_packet(engine_name: str, place: Place, objects: tuple[Document, ...], packet: str, protocol: str) -> str:
    engine = ENGINES[engine_name](place, plans_of(tracker_of(place, objects)))
    source, _, to = packet.partition(" -> ")
    sender = SOURCES[source] if place.family is Family.IPV4 else six(SOURCES[source])
    found = outcomes(engine, sender, f"{protocol.lower()}/{destination(DESTINATIONS[to], place.family)}")
    return table.shorten(say(found))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("case", [*table.CASES, *VECTORS], ids=lambda case: case.name)
def test_packets_go_where_the_table_says(case: table.Case, family: Family, engine: str) -> None:
    place, mine = place_of(in_family(case, family), family), in_family(case, family)

    found = {packet: trace_packet(engine, place, mine.objects, packet, mine.protocol) for packet in mine.packets}

    assert found == mine.packets


@pytest.mark.parametrize(
    ("engine", "localhost", "answer"),
    [("iptables", True, "102* 103* 202*"), ("iptables", False, "pass"), ("nftables", True, "pass")],
)
def test_node_ports_on_loopback(engine: str, *, localhost: bool, answer: str) -> None:
    place = Place(localhost_nodeports=localhost)
    rules = ENGINES[engine](place, plans_of(tracker_of(place, table.everything(*table.LOCAL_AND_REMOTE))))

    assert table.shorten(say(outcomes(rules, table.LOOPBACK, f"tcp/{table.LOOPBACK}:{table.NODE_PORT}"))) == answer


@pytest.mark.parametrize("engine", ENGINES)
def test_a_range_of_node_port_addresses_catches_only_what_is_local(engine: str) -> None:
    place = Place(nodeport_addresses=("192.0.2.0/24",))
    objects = table.everything(*table.LOCAL_AND_REMOTE)
    rules = ENGINES[engine](place, plans_of(tracker_of(place, objects)))

    answers = [say(outcomes(rules, table.POD, f"tcp/{host}:{table.NODE_PORT}")) for host in ("192.0.2.1", "192.0.2.77")]

    assert [table.shorten(answer) for answer in answers] == ["102* 103* 202*", "pass"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("pods", "behind", "elsewhere"), [("cni0", "cni0", "cni01"), ("veth*", "veth7", "eth0"), ("cali*", "cali1", "cal")]
)
def test_pods_are_known_by_the_interface_their_packets_come_from(
    engine: str, pods: str, behind: str, elsewhere: str
) -> None:
    place = Place(pods=PodSource(interface=pods))
    objects = table.everything(
        f"{table.SECOND_POD}@node-a", f"{table.REMOTE_POD}@node-b", externalTrafficPolicy="Local"
    )
    rules = ENGINES[engine](place, plans_of(tracker_of(place, objects)))

    def ask(source: str, to: str) -> str:
        return table.shorten(say(outcomes(rules, source, f"tcp/{DESTINATIONS[to]}")))

    assert ask(f"{table.POD}%{behind}", "cluster") == ask(f"{table.OUTSIDE}%{behind}", "cluster") == "103 202"
    assert ask(f"{table.POD}%{elsewhere}", "cluster") == ask(table.NODE_IP, "cluster") == "103* 202*"
    assert ask(f"{table.OUTSIDE}%{behind}", "nodeport") == "103 202"
    assert ask(f"{table.POD}%{elsewhere}", "nodeport") == "103"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["detector", "all", "none", "both"])
@pytest.mark.parametrize("internal", ["Cluster", "Local"])
@pytest.mark.parametrize("external", ["Cluster", "Local"])
@pytest.mark.parametrize("family", Family)
def test_masquerading(engine: str, mode: str, internal: str, external: str, family: Family) -> None:
    """12 packets in each of 32 configurations; the endpoint is another pod of this node, so no hairpin hides it."""
    objects = table.everything(
        f"{table.SECOND_POD}@node-a", internalTrafficPolicy=internal, externalTrafficPolicy=external
    )
    case = in_family(table.Case("masquerading", objects, {}), family)
    place = place_of(case, family)
    place = replace(
        place,
        pods=place.pods if mode in ("detector", "both") else PodSource(),
        masquerade_all=mode in ("all", "both"),
    )

    for source in ("pod", "node", "outside"):
        for to in ("cluster", "nodeport", "balancer", "external"):
            masqueraded = expected_masquerade(mode, external, source, to)
            found = trace_packet(engine, place, case.objects, f"{source} -> {to}", "TCP")
            assert found == f"103{'*' if masqueraded else ''}", (source, to)


def expected_masquerade(mode: str, external: str, source: str, destination: str) -> bool:
    """Rows 16 to 18 of the behaviour table."""
    if destination == "cluster":
        return mode in ("all", "both") or (mode == "detector" and source != "pod")
    if external == "Cluster":
        return True
    return source == "node"
