"""What a traced packet's fate is called, and why, for both backends."""

import pytest
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import ENGINES, NODE, Document, Place, plans_of, tracker_of

from kubesvc.proxy.live import Counts
from kubesvc.proxy.model import Target
from kubesvc.proxy.trace import Packet, weigh
from kubesvc.proxy.traffic import Direction, Traffic
from kubesvc.proxy.verdict import Answer, Case, document, judge, render


def ask(engine_name: str, objects: tuple[Document, ...], source: str, to: str, port: int = 80) -> Answer:
    place = Place()
    plans = plans_of(tracker_of(place, objects))
    engine = ENGINES[engine_name](place, plans)
    packet = Packet(source, to, port)
    case = Case(packet, plans, NODE, engine.local_addresses)
    outcomes = weigh(engine, packet)
    return judge(case, engine_name, outcomes, path=engine.notes, counts=Counts({}, {}), differences=())


@pytest.mark.parametrize("engine", ENGINES)
def test_every_endpoint_has_its_share(engine: str) -> None:
    endpoints = [f"10.244.7.{number}@node-b" for number in range(1, 6)]
    answer = ask(engine, table.everything(*endpoints), table.POD, table.CLUSTER_IP)

    assert answer.served
    assert len(answer.candidates) == 5
    assert sum(each.share for each in answer.candidates) == pytest.approx(1)
    assert all(0.19 < each.share < 0.23 for each in answer.candidates)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("objects", "source", "to", "port", "verdict", "reason"),
    [
        (table.everything(), table.POD, table.CLUSTER_IP, 80, "reject", "Service default/web has no ready endpoints"),
        (
            table.everything(*table.REMOTE_ONLY, internalTrafficPolicy="Local"),
            table.POD, table.CLUSTER_IP, 80, "drop",
            "Service default/web has internalTrafficPolicy Local and no ready endpoint on node node-a",
        ),
        (
            table.everything(*table.REMOTE_ONLY, externalTrafficPolicy="Local"),
            table.OUTSIDE, table.NODE_IP, table.NODE_PORT, "drop",
            "Service default/web has externalTrafficPolicy Local and no ready endpoint on node node-a",
        ),
        (
            table.everything(*table.REMOTE_ONLY, loadBalancerSourceRanges=["198.51.100.0/24"]),
            table.OUTSIDE, table.BALANCER_IP, 80, "drop",
            "Service default/web lets only 198.51.100.0/24 in (loadBalancerSourceRanges), not 192.0.2.9",
        ),
        (
            table.everything(*table.REMOTE_ONLY),
            table.POD, table.CLUSTER_IP, 81, "reject", "Service default/web has no port 81/TCP",
        ),
        (
            table.everything(*table.REMOTE_ONLY),
            table.POD, "10.96.0.99", 80, "drop", "no Service has the address 10.96.0.99",
        ),
        (
            table.everything(*table.REMOTE_ONLY),
            table.POD, "192.0.2.200", 80, "untouched", "no Service has 192.0.2.200:80: the packet is routed as it is",
        ),
    ],
)  # fmt: skip
def test_a_packet_without_endpoint_is_explained(
    engine: str, objects: tuple[Document, ...], source: str, to: str, port: int, verdict: str, reason: str
) -> None:
    answer = ask(engine, objects, source, to, port)

    assert (answer.verdict, answer.reason) == (verdict, reason)
    assert not answer.served
    assert reason in render(answer)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_path_names_what_was_found(engine: str) -> None:
    text = render(ask(engine, table.everything(*table.LOCAL_AND_REMOTE), table.OUTSIDE, table.NODE_IP, table.NODE_PORT))

    assert "goes to one of 3 endpoints, masqueraded" in text
    assert ("@node-ports [6 . 30080]" if engine == "nftables" else "KUBE-NODEPORTS") in text


def test_the_document_says_the_same() -> None:
    answer = ask("nftables", table.everything(*table.REMOTE_ONLY), table.POD, table.CLUSTER_IP)

    said = document(answer)

    assert said["endpoints"] == [
        {"address": f"{table.REMOTE_POD}:8080", "share": 1.0, "masqueraded": False, "connections": 0, "bytes": None}
    ]
    assert (said["verdict"], said["agrees"]) == ("endpoints", True)


def test_bytes_are_shown_where_they_are_counted() -> None:
    plans = plans_of(tracker_of(Place(), table.everything(*table.LOCAL_AND_REMOTE)))
    (name,) = plans
    traffic = Traffic()
    traffic.services = {(name, Direction.REQUEST): 870, (name, Direction.RESPONSE): 13200}
    traffic.endpoints = {(name, Target(table.POD, 8080), Direction.RESPONSE): 13100}
    engine = ENGINES["nftables"](Place(), plans)
    packet = Packet(table.OUTSIDE, table.CLUSTER_IP, 80)
    case = Case(packet, plans, NODE, engine.local_addresses)
    counts = Counts({name: 3}, {(name, Target(table.POD, 8080)): 2})

    answer = judge(case, "nftables", weigh(engine, packet), path=(), counts=counts, differences=(), traffic=traffic)

    text = render(answer)
    assert "default/web (3 connections, 870 bytes to it and 13200 back counted here)" in text
    assert [line.split()[-3:] for line in text.splitlines() if line.startswith("10.244.")] == [
        ["2", "0", "13100"], ["0", "0", "0"], ["0", "0", "0"],
    ]  # fmt: skip
    found = document(answer)
    assert found["bytes"] == {"request": 870, "response": 13200}
    assert [each["bytes"] for each in found["endpoints"]] == [  # type: ignore[attr-defined]
        {"request": 0, "response": 13100}, None, None,
    ]  # fmt: skip
    assert document(ask("nftables", table.everything(), table.POD, table.CLUSTER_IP))["bytes"] is None
