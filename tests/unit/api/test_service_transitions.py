"""What a Service inherits, what it loses, and what defaults it gets, when it is created or changes its type."""

from copy import deepcopy
from typing import Any

import pytest

from kubesvc.api.defaults import apply_defaults
from kubesvc.api.resources import SERVICES
from kubesvc.api.strategy import prepare_create, prepare_status_update, prepare_update

Document = dict[str, Any]

ALLOCATED: Document = {
    "clusterIP": "10.96.0.1",
    "clusterIPs": ["10.96.0.1"],
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
}


def stored(**spec: Any) -> Document:
    """A Service as it was stored: defaulted and with everything allocated."""
    obj: Document = {
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"ports": [{"name": "http", "port": 80, "nodePort": 30080}], **deepcopy(ALLOCATED), **spec},
    }
    apply_defaults(SERVICES, obj)
    return obj


def replaced(old: Document, **spec: Any) -> Document:
    """The outcome of a PUT that says only `spec`."""
    new: Document = {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}
    apply_defaults(SERVICES, new)
    prepare_update(SERVICES, new, old)
    return new


def patched(old: Document, **spec: Any) -> Document:
    """The outcome of a patch: what the old object says, changed by `spec`; None removes."""
    new = deepcopy(old)
    new["spec"] |= spec
    new["spec"] = {field: value for field, value in new["spec"].items() if value is not None}
    apply_defaults(SERVICES, new)
    prepare_update(SERVICES, new, old)
    return new


# Defaults


def test_a_bare_service_is_a_cluster_ip_service_for_tcp() -> None:
    obj: Document = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 3000}]}}
    apply_defaults(SERVICES, obj)
    assert obj["spec"] == {
        "ports": [{"port": 3000, "protocol": "TCP", "targetPort": 3000}],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
    }
    assert obj["status"] == {"loadBalancer": {}}


def test_defaults_are_stable() -> None:
    for kind in ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"):
        once = stored(type=kind, sessionAffinity="ClientIP")
        twice = deepcopy(once)
        apply_defaults(SERVICES, twice)
        assert twice == once


@pytest.mark.parametrize("target", [0, ""])
def test_an_empty_target_port_is_the_port(target: int | str) -> None:
    obj = stored(ports=[{"port": 80, "targetPort": target}])
    assert obj["spec"]["ports"][0]["targetPort"] == 80


def test_affinity_gets_three_hours_and_none_clears_its_configuration() -> None:
    assert stored(sessionAffinity="ClientIP")["spec"]["sessionAffinityConfig"] == {
        "clientIP": {"timeoutSeconds": 10800}
    }
    cleared = stored(sessionAffinity="None", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 5}})
    assert "sessionAffinityConfig" not in cleared["spec"]


@pytest.mark.parametrize(
    ("spec", "policy"),
    [
        ({"type": "NodePort"}, "Cluster"),
        ({"type": "LoadBalancer"}, "Cluster"),
        ({"type": "ClusterIP", "externalIPs": ["192.0.2.1"]}, "Cluster"),
        ({"type": "ClusterIP"}, None),
        ({"type": "ExternalName", "externalIPs": ["192.0.2.1"]}, None),
    ],
)
def test_only_what_is_reachable_from_outside_gets_an_external_policy(spec: Document, policy: str | None) -> None:
    assert stored(**spec)["spec"].get("externalTrafficPolicy") == policy


def test_an_external_name_gets_no_internal_policy() -> None:
    assert "internalTrafficPolicy" not in stored(type="ExternalName")["spec"]


def test_a_load_balancer_allocates_node_ports_and_its_addresses_are_vips() -> None:
    obj = stored(type="LoadBalancer")
    assert obj["spec"]["allocateLoadBalancerNodePorts"] is True
    obj["status"]["loadBalancer"]["ingress"] = [{"ip": "192.0.2.1"}, {"hostname": "a.b"}]
    apply_defaults(SERVICES, obj)
    assert obj["status"]["loadBalancer"]["ingress"] == [{"ip": "192.0.2.1", "ipMode": "VIP"}, {"hostname": "a.b"}]


# Create


def test_create_clears_the_status_and_pairs_the_addresses() -> None:
    obj = stored(clusterIP="10.96.0.7", clusterIPs=None)
    obj["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    prepare_create(SERVICES, obj)
    assert obj["status"] == {"loadBalancer": {}}
    assert obj["spec"]["clusterIPs"] == ["10.96.0.7"]


# Inheriting


def test_a_put_inherits_addresses_and_node_ports() -> None:
    new = replaced(stored(type="NodePort"), type="NodePort", ports=[{"name": "http", "port": 81}])
    assert new["spec"]["clusterIP"] == "10.96.0.1"
    assert new["spec"]["clusterIPs"] == ["10.96.0.1"]
    assert new["spec"]["ports"][0]["nodePort"] == 30080


def test_node_ports_are_inherited_by_the_name_of_the_port() -> None:
    ports = [{"name": "other", "port": 80}, {"name": "http", "port": 81}]
    new = replaced(stored(type="NodePort"), type="NodePort", ports=ports)
    assert [port.get("nodePort") for port in new["spec"]["ports"]] == [None, 30080]


def test_a_node_port_given_to_another_port_is_not_inherited_twice() -> None:
    ports = [{"name": "other", "port": 80, "nodePort": 30080}, {"name": "http", "port": 81}]
    new = replaced(stored(type="NodePort"), type="NodePort", ports=ports)
    assert [port.get("nodePort") for port in new["spec"]["ports"]] == [30080, None]


def test_a_put_inherits_the_health_check_port() -> None:
    old = stored(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=31000)
    new = replaced(old, type="LoadBalancer", externalTrafficPolicy="Local", ports=[{"name": "http", "port": 80}])
    assert new["spec"]["healthCheckNodePort"] == 31000


def test_old_clients_that_change_cluster_ip_alone_change_cluster_ips_too() -> None:
    new = patched(stored(), clusterIP="10.96.0.9")
    assert new["spec"]["clusterIPs"] == ["10.96.0.9"]


def test_an_external_name_becomes_a_cluster_ip_service_without_an_address_yet() -> None:
    old: Document = {"metadata": {"name": "web"}, "spec": {"type": "ExternalName", "externalName": "x.y"}}
    new = replaced(old, type="ClusterIP", ports=[{"port": 80}])
    assert "clusterIP" not in new["spec"]
    assert "clusterIPs" not in new["spec"]


# Wiping


def test_to_external_name_wipes_addresses_and_families() -> None:
    new = patched(stored(ports=[{"port": 80}]), type="ExternalName", externalName="x.y")
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & set(new["spec"])


def test_to_cluster_ip_wipes_node_ports_and_the_external_policy() -> None:
    new = patched(stored(type="NodePort"), type="ClusterIP")
    assert "nodePort" not in new["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in new["spec"]
    assert new["spec"]["clusterIP"] == "10.96.0.1"


def test_leaving_load_balancer_wipes_its_fields_and_its_status() -> None:
    old = stored(
        type="LoadBalancer", loadBalancerClass="a.b/c", externalTrafficPolicy="Local", healthCheckNodePort=31000
    )
    old["status"]["loadBalancer"] = {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}
    new = patched(old, type="NodePort")
    gone = {"loadBalancerClass", "healthCheckNodePort", "allocateLoadBalancerNodePorts"}
    assert not gone & set(new["spec"])
    assert new["spec"]["externalTrafficPolicy"] == "Local"
    assert new["spec"]["ports"][0]["nodePort"] == 30080
    assert new["status"] == {"loadBalancer": {}}


def test_what_the_client_changed_itself_is_left_for_validation_to_refuse() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30999}]
    new = patched(stored(type="NodePort"), type="ClusterIP", ports=ports, externalTrafficPolicy="Local")
    assert new["spec"]["ports"][0]["nodePort"] == 30999
    assert new["spec"]["externalTrafficPolicy"] == "Local"


def test_the_selector_stays_whatever_the_type() -> None:
    new = patched(stored(selector={"a": "b"}), type="ExternalName", externalName="x.y")
    assert new["spec"]["selector"] == {"a": "b"}


def test_asking_for_a_single_stack_releases_the_secondary() -> None:
    old = stored(clusterIPs=["10.96.0.1", "fd00::1"], ipFamilies=["IPv4", "IPv6"], ipFamilyPolicy="PreferDualStack")
    new = patched(old, ipFamilyPolicy="SingleStack")
    assert new["spec"]["clusterIPs"] == ["10.96.0.1"]
    assert new["spec"]["ipFamilies"] == ["IPv4"]


# Status


def test_a_write_to_the_object_keeps_the_status_and_one_to_the_status_keeps_the_spec() -> None:
    old = stored(type="LoadBalancer")
    old["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}}
    new = patched(old)
    assert new["status"] == old["status"]
    changed = deepcopy(old)
    changed["spec"]["type"] = "ClusterIP"
    changed["status"] = {"loadBalancer": {}}
    changed["metadata"]["finalizers"] = ["a.b/c"]
    prepare_status_update(SERVICES, changed, old)
    assert changed["spec"] == old["spec"]
    assert changed["status"] == {"loadBalancer": {}}
    assert changed["metadata"]["finalizers"] == ["a.b/c"]
