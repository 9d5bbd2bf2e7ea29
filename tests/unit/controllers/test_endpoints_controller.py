"""The Endpoints object of a Service, and mirroring of Endpoints that people write."""

from typing import Any

import msgspec

from kubesvc.api.views import Endpoints, EndpointSlice, Pod, Service
from kubesvc.controllers import endpoints, mirroring
from kubesvc.controllers.changes import Create, Delete, Update
from kubesvc.testing import builders


def svc(name: str = "web", *ports: dict[str, Any], **fields: Any) -> Service:
    return msgspec.convert(builders.service(name, *ports, **fields), Service)


def pod(name: str, **fields: Any) -> Pod:
    return msgspec.convert(builders.pod(name, **fields), Pod)


def made(service: Service | None, *pods: Pod, existing: Endpoints | None = None) -> dict[str, Any]:
    [change] = endpoints.reconcile(endpoints.Inputs(service, pods, existing))
    assert isinstance(change, Create | Update)
    return change.obj


def stored(document: dict[str, Any]) -> Endpoints:
    document["metadata"] |= {"uid": "uid-ep", "resourceVersion": "5"}
    return msgspec.convert(document, Endpoints)


def test_ready_and_not_ready_addresses_are_told_apart() -> None:
    document = made(svc(target_port=5000), pod("b", ip="10.0.0.2", ready=False), pod("a", ip="10.0.0.1", node="n1"))
    [subset] = document["subsets"]
    assert [a["ip"] for a in subset["addresses"]] == ["10.0.0.1"]
    assert [a["ip"] for a in subset["notReadyAddresses"]] == ["10.0.0.2"]
    assert subset["addresses"][0]["nodeName"] == "n1"
    assert subset["ports"] == [{"port": 5000, "protocol": "TCP"}]


def test_it_bears_the_services_name_and_labels_and_says_who_manages_it() -> None:
    document = made(svc(labels={"tier": "front"}))
    assert document["metadata"]["name"] == "web"
    assert document["metadata"]["labels"] == {
        "tier": "front",
        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
    }
    assert "subsets" not in document


def test_terminating_pods_are_left_out_unless_not_ready_ones_are_published() -> None:
    leaving = pod("a", ip="10.0.0.1", deleting=True)
    assert "subsets" not in made(svc(), leaving)
    [subset] = made(svc(publishNotReadyAddresses=True), leaving)["subsets"]
    assert [a["ip"] for a in subset["addresses"]] == ["10.0.0.1"]


def test_ports_served_by_the_same_pods_share_a_subset_and_others_do_not() -> None:
    service = svc("web", {"name": "a", "port": 80, "targetPort": 80}, {"name": "b", "port": 81, "targetPort": "http"})
    plain = pod("p1", ip="10.0.0.1")
    named = pod("p2", ip="10.0.0.2", ports=[{"name": "http", "containerPort": 8081}])
    subsets = made(service, plain, named)["subsets"]
    seen = {tuple(p["name"] for p in s["ports"]): [a["ip"] for a in s["addresses"]] for s in subsets}
    assert seen == {("a",): ["10.0.0.1", "10.0.0.2"], ("b",): ["10.0.0.2"]}


def test_more_than_a_thousand_addresses_are_truncated_ready_ones_first() -> None:
    ready = [pod(f"r{n}", ip=f"10.1.{n // 250}.{n % 250}") for n in range(990)]
    others = [pod(f"n{n}", ip=f"10.2.0.{n}", ready=False) for n in range(50)]
    document = made(svc(), *ready, *others)
    [subset] = document["subsets"]
    assert (len(subset["addresses"]), len(subset["notReadyAddresses"])) == (990, 10)
    assert document["metadata"]["annotations"]["endpoints.kubernetes.io/over-capacity"] == "truncated"


def test_an_unchanged_service_writes_nothing() -> None:
    pods = (pod("a", ip="10.0.0.1"), pod("b", ip="10.0.0.2", ready=False))
    existing = stored(made(svc(), *pods))
    assert endpoints.reconcile(endpoints.Inputs(svc(), pods, existing)) == []


def test_they_go_with_their_service() -> None:
    existing = stored(made(svc(), pod("a", ip="10.0.0.1")))
    [change] = endpoints.reconcile(endpoints.Inputs(None, (), existing))
    assert isinstance(change, Delete)


def by_hand(**meta: Any) -> Endpoints:
    document = {
        "metadata": {"name": "db", "namespace": "default", "uid": "uid-ep"} | meta,
        "subsets": [
            {
                "addresses": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}],
                "notReadyAddresses": [{"ip": "192.0.2.2"}],
                "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
            }
        ],
    }
    return msgspec.convert(document, Endpoints)


def mirrored(found: Endpoints, service: Service | None, *slices: EndpointSlice) -> list[Any]:
    return list(mirroring.reconcile(mirroring.Inputs(found, service, slices)))


def test_endpoints_by_hand_are_mirrored_per_family() -> None:
    changes = mirrored(by_hand(labels={"team": "x"}), svc("db", selector={}))
    slices = {change.obj["addressType"]: change.obj for change in changes}
    conditions = {e["addresses"][0]: e["conditions"] for e in slices["IPv4"]["endpoints"]}
    assert conditions == {"192.0.2.1": {"ready": True}, "192.0.2.2": {"ready": False}}
    assert [e["addresses"] for e in slices["IPv6"]["endpoints"]] == [["2001:db8::1"]]
    meta = slices["IPv4"]["metadata"]
    assert meta["labels"] == {
        "team": "x",
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    }
    assert meta["ownerReferences"][0]["kind"] == "Endpoints"


def test_endpoints_of_a_selecting_service_or_marked_to_be_skipped_are_not_mirrored() -> None:
    assert mirrored(by_hand(), svc("db")) == []
    assert mirrored(by_hand(), None) == []
    assert mirrored(by_hand(labels={mirroring.SKIP_LABEL: "true"}), svc("db", selector={})) == []


def test_a_mirror_goes_when_its_service_gets_a_selector() -> None:
    [first, _] = mirrored(by_hand(), svc("db", selector={}))
    first.obj["metadata"] |= {"name": "db-1", "uid": "u"}
    slice_ = msgspec.convert(first.obj, EndpointSlice)
    [change] = mirrored(by_hand(), svc("db"), slice_)
    assert isinstance(change, Delete)


def test_an_unchanged_mirror_is_not_written() -> None:
    slices = []
    for number, change in enumerate(mirrored(by_hand(), svc("db", selector={}))):
        change.obj["metadata"] |= {"name": f"db-{number}", "uid": f"u{number}"}
        slices.append(msgspec.convert(change.obj, EndpointSlice))
    assert mirrored(by_hand(), svc("db", selector={}), *slices) == []
