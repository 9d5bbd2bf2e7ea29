"""Two Services, one external address: who has it, and who is told that it has not."""

from itertools import permutations
from typing import Any

import pytest
from tests.unit.proxy.proxy_engines import ENGINES, Place, outcomes, plans_of, put, say, tracker_of

from kubesvc.api.resources import Key
from kubesvc.testing.builders import endpoint_slice, service

ADDRESS = "203.0.113.5"
NEWER, OLDER = Key("default", "newer"), Key("default", "older")


def claiming(name: str, created: str, address: str = ADDRESS, port: int = 80) -> dict[str, Any]:
    number = {"older": 1, "newer": 2, "newest": 3}[name]
    made = service(name, port=port, cluster_ip=f"10.96.0.{number}", externalIPs=[address])
    made["metadata"]["creationTimestamp"] = f"2026-01-0{created}T00:00:00Z"
    return made


def slices(*names: str) -> list[dict[str, Any]]:
    return [endpoint_slice(name, f"10.244.7.{number}@b", port=8080) for number, name in enumerate(names, 1)]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_oldest_has_it_in_whatever_order_they_are_seen(engine: str) -> None:
    place = Place()
    documents = [claiming("older", "1"), claiming("newer", "2"), claiming("newest", "3")]
    for order in permutations(documents):
        tracker = tracker_of(place, [*order, *slices("older", "newer", "newest")])
        found = outcomes(ENGINES[engine](place, plans_of(tracker)), "192.0.2.9", f"tcp/{ADDRESS}:80")

        assert say(found) == "10.244.7.1*"


def test_among_equals_the_name_decides() -> None:
    tracker = tracker_of(Place(), [claiming("older", "1"), claiming("newer", "1")])

    assert [complaint.name for complaint in tracker.contested(OLDER)] == ["older"]
    assert tracker.contested(NEWER) == ()


def test_the_loser_is_told_who_has_it() -> None:
    tracker = tracker_of(Place(), [claiming("older", "1"), claiming("newer", "2")])

    (complaint,) = tracker.contested(NEWER)
    assert (complaint.reason, complaint.message) == (
        "AddressInUse", f"{ADDRESS} port 80/TCP is served for Service default/older",
    )  # fmt: skip


def test_other_ports_of_one_address_are_nobody_elses() -> None:
    tracker = tracker_of(Place(), [claiming("older", "1"), claiming("newer", "2", port=81)])

    assert tracker.contested(NEWER) == ()


def test_when_the_winner_goes_the_next_has_it() -> None:
    tracker = tracker_of(Place(), [claiming("older", "1"), claiming("newer", "2")])
    tracker.take_dirty()

    put(tracker, claiming("older", "1", address="203.0.113.6"))

    assert tracker.take_dirty() == {OLDER, NEWER}
    assert tracker.contested(NEWER) == ()
    assert {plan.service.external_ips for plan in plans_of(tracker).values()} == {(ADDRESS,), ("203.0.113.6",)}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("field", ["clusterIP", "nodePort"])
def test_of_two_services_with_one_cluster_ip_or_node_port_the_older_has_it(field: str, engine: str) -> None:
    place = Place()
    documents = []
    for name, created in (("older", "1"), ("newer", "2")):
        number = 9 if field == "clusterIP" else int(created)
        made = service(name, port=80, cluster_ip=f"10.96.0.{number}", node_port=30000 if field == "nodePort" else 0)
        made["metadata"]["creationTimestamp"] = f"2026-01-0{created}T00:00:00Z"
        documents.append(made)
    destination = "tcp/10.96.0.9:80" if field == "clusterIP" else "tcp/192.0.2.1:30000"
    for order in permutations(documents):
        tracker = tracker_of(place, [*order, *slices("older", "newer")])
        found = outcomes(ENGINES[engine](place, plans_of(tracker)), "192.0.2.9", destination)

        assert say(found) == "10.244.7.1*"
        assert [complaint.name for complaint in tracker.contested(NEWER)] == ["newer"]


@pytest.mark.parametrize("engine", ENGINES)
def test_nobody_takes_a_cluster_ip_by_naming_it_as_an_external_address(engine: str) -> None:
    place = Place()
    thief = claiming("older", "1", address="10.96.0.2")
    for order in permutations([thief, claiming("newer", "2")]):
        tracker = tracker_of(place, [*order, *slices("older", "newer")])
        found = outcomes(ENGINES[engine](place, plans_of(tracker)), "10.244.1.7", "tcp/10.96.0.2:80")

        assert say(found) == "10.244.7.2"
        assert [complaint.name for complaint in tracker.contested(OLDER)] == ["older"]
