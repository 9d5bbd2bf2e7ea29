"""The behaviour table on every backend, by the packet tracer."""

import pytest
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import ENGINES, Document, Place, outcomes, plans_of, say, tracker_of

from kubesvc.proxy.rules import PodSource

SOURCES = {**table.SOURCES, **table.EXTRA_SOURCES}
DESTINATIONS = {**table.DESTINATIONS, **table.EXTRA_DESTINATIONS}


def trace_packet(engine_name: str, place: Place, objects: tuple[Document, ...], packet: str, protocol: str) -> str:
    engine = ENGINES[engine_name](place, plans_of(tracker_of(place, objects)))
    source, _, destination = packet.partition(" -> ")
    found = outcomes(engine, SOURCES[source], f"{protocol.lower()}/{DESTINATIONS[destination]}")
    return table.shorten(say(found))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", table.CASES, ids=lambda case: case.name)
def test_packets_go_where_the_table_says(case: table.Case, engine: str) -> None:
    place = Place(zone=case.zone, **case.options)

    found = {packet: trace_packet(engine, place, case.objects, packet, case.protocol) for packet in case.packets}

    assert found == case.packets


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["detector", "all", "none", "both"])
@pytest.mark.parametrize("internal", ["Cluster", "Local"])
@pytest.mark.parametrize("external", ["Cluster", "Local"])
def test_masquerading(engine: str, mode: str, internal: str, external: str) -> None:
    """27 packets in each of 16 configurations; the endpoint is another pod of this node, so no hairpin hides it."""
    place = Place(
        pods=PodSource(("10.244.0.0/16",)) if mode in ("detector", "both") else PodSource(),
        masquerade_all=mode in ("all", "both"),
    )
    objects = table.everything(
        f"{table.SECOND_POD}@node-a", internalTrafficPolicy=internal, externalTrafficPolicy=external
    )

    for source in ("pod", "node", "outside"):
        for destination in ("cluster", "nodeport", "balancer", "external"):
            masqueraded = expected_masquerade(mode, external, source, destination)
            found = trace_packet(engine, place, objects, f"{source} -> {destination}", "TCP")
            assert found == f"103{'*' if masqueraded else ''}", (source, destination)


def expected_masquerade(mode: str, external: str, source: str, destination: str) -> bool:
    """Rows 16 to 18 of the behaviour table."""
    if destination == "cluster":
        return mode in ("all", "both") or (mode == "detector" and source != "pod")
    if external == "Cluster":
        return True
    return source == "node"
