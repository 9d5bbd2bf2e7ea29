"""A Service's EndpointSlices follow its pods."""

from typing import Any

import msgspec
import pytest

from kubesvc.api.views import EndpointSlice, Node, Pod, Service
from kubesvc.controllers.changes import Change, Create, Delete, Update
from kubesvc.controllers.endpointslice.reconcile import Inputs, reconcile
from kubesvc.controllers.endpointslice.trigger import Triggers, find_trigger
from kubesvc.testing import builders


def svc(name: str = "web", **fields: Any) -> Service:
    document = builders.service(name, **fields)
    document["metadata"]["uid"] = f"uid-{name}"
    return msgspec.convert(document, Service)


def pod(name: str, **fields: Any) -> Pod:
    return msgspec.convert(builders.pod(name, **fields), Pod)


def inputs(
    service: Service, *pods: Pod, nodes: tuple[Node, ...] = (), slices: tuple[EndpointSlice, ...] = ()
) -> Inputs:
    return Inputs(service, pods, {node.metadata.name: node for node in nodes}, slices)


def node(name: str, zone: str = "") -> Node:
    return msgspec.convert(builders.node(name, zone=zone), Node)


def created(changes: list[Change]) -> list[dict[str, Any]]:
    return [change.obj for change in changes if isinstance(change, Create)]


def stored(document: dict[str, Any], name: str = "web-abc") -> EndpointSlice:
    """A slice as the API gives it back after it was created."""
    document["metadata"] |= {"name": name, "uid": f"uid-{name}", "resourceVersion": "7"}
    return msgspec.convert(document, EndpointSlice)


def addresses(document: dict[str, Any]) -> list[str]:
    return [endpoint["addresses"][0] for endpoint in document["endpoints"]]


def test_a_ready_pod_is_a_ready_endpoint_with_its_node_and_zone() -> None:
    service = svc(target_port=5000)
    [slice_] = created(
        reconcile(inputs(service, pod("web-1", ip="10.0.0.1", node="n1"), nodes=(node("n1", zone="z1"),)))
    )
    assert slice_["ports"] == [{"name": "", "protocol": "TCP", "port": 5000}]
    [endpoint] = slice_["endpoints"]
    assert endpoint["conditions"] == {"ready": True, "serving": True, "terminating": False}
    assert (endpoint["nodeName"], endpoint["zone"]) == ("n1", "z1")
    assert endpoint["targetRef"] == {"kind": "Pod", "namespace": "default", "name": "web-1"}


def test_slices_are_labelled_owned_and_named_after_their_service() -> None:
    [slice_] = created(reconcile(inputs(svc(labels={"tier": "front"}), pod("web-1", ip="10.0.0.1"))))
    assert slice_["metadata"]["generateName"] == "web-"
    assert slice_["metadata"]["labels"] == {
        "tier": "front",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    [owner] = slice_["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "v1",
        "kind": "Service",
        "name": "web",
        "uid": "uid-web",
        "controller": True,
        "blockOwnerDeletion": True,
    }


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        (svc(type="ExternalName", externalName="db.example"), "an alias has no endpoints"),
        (svc(selector={}), "without a selector somebody else keeps the endpoints"),
    ],
)
def test_services_that_select_nothing_are_left_alone(service: Service, reason: str) -> None:
    assert reconcile(inputs(service, pod("web-1", ip="10.0.0.1"))) == [], reason


@pytest.mark.parametrize(
    ("fields", "conditions"),
    [
        ({"ready": False}, {"ready": False, "serving": False, "terminating": False}),
        ({"deleting": True}, {"ready": False, "serving": True, "terminating": True}),
        ({"deleting": True, "ready": False}, {"ready": False, "serving": False, "terminating": True}),
    ],
)
def test_conditions_tell_serving_from_ready(fields: dict[str, Any], conditions: dict[str, bool]) -> None:
    [slice_] = created(reconcile(inputs(svc(), pod("web-1", ip="10.0.0.1", **fields))))
    assert slice_["endpoints"][0]["conditions"] == conditions


def test_publish_not_ready_addresses_makes_every_endpoint_ready() -> None:
    service = svc(publishNotReadyAddresses=True)
    [slice_] = created(reconcile(inputs(service, pod("web-1", ip="10.0.0.1", ready=False, deleting=True))))
    assert slice_["endpoints"][0]["conditions"] == {"ready": True, "serving": False, "terminating": True}


@pytest.mark.parametrize(
    "fields", [{}, {"ip": "10.0.0.1", "phase": "Failed"}, {"ip": "10.0.0.1", "phase": "Succeeded"}]
)
def test_pods_without_address_or_over_are_no_endpoints(fields: dict[str, Any]) -> None:
    [placeholder] = created(reconcile(inputs(svc(), pod("web-1", **fields))))
    assert (placeholder["endpoints"], placeholder["ports"]) == ([], [])


def test_a_pod_of_a_node_that_is_gone_waits_without_holding_up_others() -> None:
    pods = (pod("a", ip="10.0.0.1", node="gone"), pod("b", ip="10.0.0.2", node="n1"))
    [slice_] = created(reconcile(inputs(svc(), *pods, nodes=(node("n1"),))))
    assert addresses(slice_) == ["10.0.0.2"]


def test_a_named_target_port_that_differs_between_pods_makes_two_slices() -> None:
    service = svc(target_port="http")
    old = pod("a", ip="10.0.0.1", ports=[{"name": "http", "containerPort": 80}])
    new = pod("b", ip="10.0.0.2", ports=[{"name": "http", "containerPort": 8080}])
    slices = created(reconcile(inputs(service, old, new)))
    assert sorted((s["ports"][0]["port"], addresses(s)) for s in slices) == [(80, ["10.0.0.1"]), (8080, ["10.0.0.2"])]


def test_a_named_target_port_of_the_other_protocol_is_not_meant() -> None:
    service = svc(target_port="dns")
    [slice_] = created(
        reconcile(
            inputs(service, pod("a", ip="10.0.0.1", ports=[{"name": "dns", "containerPort": 53, "protocol": "UDP"}]))
        )
    )
    assert slice_["ports"] == []
    assert addresses(slice_) == ["10.0.0.1"]


def test_a_headless_service_labels_its_slices_and_needs_no_ports() -> None:
    service = svc(cluster_ip="None", ports=None, ipFamilies=["IPv4"])
    [slice_] = created(reconcile(inputs(service, pod("a", ip="10.0.0.1"))))
    assert slice_["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert slice_["ports"] == []


def test_dual_stack_services_have_slices_of_both_families() -> None:
    service = svc(ipFamilies=["IPv4", "IPv6"])
    document = builders.pod("a", ip="10.0.0.1")
    document["status"]["podIPs"].append({"ip": "fd00::1"})
    slices = created(reconcile(inputs(service, msgspec.convert(document, Pod))))
    assert {s["addressType"]: addresses(s) for s in slices} == {"IPv4": ["10.0.0.1"], "IPv6": ["fd00::1"]}


@pytest.mark.parametrize(
    ("distribution", "hints"),
    [
        (None, None),
        ("PreferClose", {"forZones": [{"name": "z1"}]}),
        ("PreferSameZone", {"forZones": [{"name": "z1"}]}),
        ("PreferSameNode", {"forZones": [{"name": "z1"}], "forNodes": [{"name": "n1"}]}),
    ],
)
def test_traffic_distribution_becomes_hints(distribution: str | None, hints: dict[str, Any] | None) -> None:
    service = svc(trafficDistribution=distribution)
    [slice_] = created(reconcile(inputs(service, pod("a", ip="10.0.0.1", node="n1"), nodes=(node("n1", zone="z1"),))))
    assert slice_["endpoints"][0].get("hints") == hints


@pytest.mark.parametrize(("subdomain", "hostname"), [("web", "db-0"), ("other", None), ("", None)])
def test_the_hostname_is_published_below_the_pods_own_subdomain(subdomain: str, hostname: str | None) -> None:
    [slice_] = created(reconcile(inputs(svc(), pod("a", ip="10.0.0.1", hostname="db-0", subdomain=subdomain))))
    assert slice_["endpoints"][0].get("hostname") == hostname


def test_an_unchanged_service_writes_nothing() -> None:
    service, ready = svc(), pod("a", ip="10.0.0.1")
    [slice_] = created(reconcile(inputs(service, ready)))
    assert reconcile(inputs(service, ready, slices=(stored(slice_),))) == []


def test_an_unchanged_placeholder_is_kept() -> None:
    [slice_] = created(reconcile(inputs(svc())))
    assert reconcile(inputs(svc(), slices=(stored(slice_),))) == []


def test_the_last_endpoint_turns_its_slice_into_the_placeholder() -> None:
    [slice_] = created(reconcile(inputs(svc(), pod("a", ip="10.0.0.1"))))
    [change] = reconcile(inputs(svc(), slices=(stored(slice_),)))
    assert isinstance(change, Update)
    assert (change.obj["endpoints"], change.obj["metadata"]["name"]) == ([], "web-abc")


def test_slices_of_an_earlier_service_of_the_same_name_are_replaced() -> None:
    [slice_] = created(reconcile(inputs(svc(), pod("a", ip="10.0.0.1"))))
    slice_["metadata"]["ownerReferences"][0]["uid"] = "uid-of-the-earlier-one"
    changes = reconcile(inputs(svc(), pod("a", ip="10.0.0.1"), slices=(stored(slice_),)))
    assert [type(change) for change in changes] == [Delete, Create]


def test_a_service_on_its_way_out_gets_no_new_slices() -> None:
    document = builders.service("web") | {}
    document["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert reconcile(inputs(msgspec.convert(document, Service), pod("a", ip="10.0.0.1"))) == []


def test_the_trigger_time_is_the_earliest_change_not_yet_accounted_for() -> None:
    def ready_since(name: str, moment: str) -> Pod:
        document = builders.pod(name, ip="10.0.0.1")
        document["status"]["conditions"][0]["lastTransitionTime"] = moment
        return msgspec.convert(document, Pod)

    service = msgspec.structs.replace(svc().metadata, creation_timestamp="2026-01-01T00:00:00Z")
    first, state = find_trigger(service, [ready_since("a", "2026-01-01T00:00:05Z")], None)
    assert first == "2026-01-01T00:00:00Z"
    later = [ready_since("a", "2026-01-01T00:00:05Z"), ready_since("b", "2026-01-01T00:00:09Z")]
    second, state = find_trigger(service, later, state)
    assert second == "2026-01-01T00:00:09Z"
    assert find_trigger(service, later, state)[0] is None
    assert isinstance(state, Triggers)
