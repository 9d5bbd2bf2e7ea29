"""The rules of workloads, endpoints, configuration and the cluster's own kinds."""

from copy import deepcopy
from typing import Any

import pytest

from kubesvc.api import resources as r
from kubesvc.api.defaults import apply_defaults
from kubesvc.api.validation import validate_create, validate_status_update, validate_update

Document = dict[str, Any]


def new(resource: r.Resource, *, name: str = "x", **fields: Any) -> Document:
    metadata = {"name": name} | ({"namespace": "shop"} if resource.namespaced else {})
    obj: Document = {"metadata": metadata, **deepcopy(fields)}
    apply_defaults(resource, obj)
    return obj


def errors(resource: r.Resource, **fields: Any) -> list[str]:
    return [str(error) for error in validate_create(resource, new(resource, **fields))]


def changes(resource: r.Resource, old: Document, **fields: Any) -> list[str]:
    """The errors of an update from `old` to `fields`, both given as fields of new objects."""
    before, after = new(resource, **old), new(resource, **(old | fields))
    after["metadata"]["resourceVersion"] = "1"
    return [str(error) for error in validate_update(resource, after, before)]


# Deployments and ReplicaSets

WEB: Document = {
    "selector": {"matchLabels": {"app": "web"}},
    "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "a:1"}]}},
}
BOTH = [r.DEPLOYMENTS, r.REPLICASETS]


@pytest.mark.parametrize("resource", BOTH)
def test_a_workload_selects_the_pods_of_its_template(resource: r.Resource) -> None:
    assert errors(resource, spec=WEB) == []
    other = WEB | {"selector": {"matchLabels": {"app": "db"}}}
    assert errors(resource, spec=other) == [
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'
    ]


@pytest.mark.parametrize("resource", BOTH)
def test_a_selector_is_required_not_empty_and_stays(resource: r.Resource) -> None:
    assert errors(resource, spec={"template": WEB["template"]}) == ["spec.selector: Required value"]
    assert errors(resource, spec=WEB | {"selector": {}}) == [
        "spec.selector: Invalid value: {}: empty selector is invalid for deployment"
    ]
    wider = WEB | {"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}
    [error] = changes(resource, {"spec": WEB}, spec=wider)
    assert error.startswith("spec.selector: Invalid value: {")
    assert error.endswith(": field is immutable")


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        (
            {"key": "a", "operator": "In"},
            "values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
        ({"key": "a", "operator": "Exists", "values": ["x"]}, "values: Forbidden: may not be specified when"),
        ({"key": "a", "operator": "Like"}, 'operator: Invalid value: "Like": not a valid selector operator'),
        ({"key": "", "operator": "Exists"}, 'key: Invalid value: "": name part must be non-empty'),
    ],
)
def test_selector_expressions_are_checked(expression: Document, error: str) -> None:
    spec = WEB | {"selector": {"matchExpressions": [expression]}}
    assert errors(r.DEPLOYMENTS, spec=spec)[0].startswith(f"spec.selector.matchExpressions[0].{error}")


def test_pods_of_a_workload_restart_always() -> None:
    template = deepcopy(WEB["template"])
    template["spec"] |= {"restartPolicy": "Never", "activeDeadlineSeconds": 5}
    assert errors(r.DEPLOYMENTS, spec=WEB | {"template": template}) == [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
    ]


@pytest.mark.parametrize(
    ("rolling", "error"),
    [
        ({"maxUnavailable": 0, "maxSurge": 0}, "maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"),
        ({"maxUnavailable": "0%", "maxSurge": 0}, 'maxUnavailable: Invalid value: "0%": may not be 0 when'),
        ({"maxUnavailable": "101%"}, 'maxUnavailable: Invalid value: "101%": must not be greater than 100%'),
        ({"maxSurge": "many"}, 'maxSurge: Invalid value: "many": a valid percent string must be'),
        ({"maxSurge": -1}, "maxSurge: Invalid value: -1: must be greater than or equal to 0"),
    ],
)
def test_a_rollout_can_make_progress(rolling: Document, error: str) -> None:
    spec = WEB | {"strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}
    assert errors(r.DEPLOYMENTS, spec=spec)[0].startswith(f"spec.strategy.rollingUpdate.{error}")


def test_counts_are_not_negative_and_the_deadline_is_beyond_readiness() -> None:
    assert errors(r.DEPLOYMENTS, spec=WEB | {"replicas": -1}) == [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    ]
    assert errors(r.DEPLOYMENTS, spec=WEB | {"minReadySeconds": 600}) == [
        "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"
    ]
    assert errors(r.DEPLOYMENTS, spec=WEB | {"strategy": {"type": "Canary"}}) == [
        'spec.strategy.type: Unsupported value: "Canary": supported values: "Recreate", "RollingUpdate"'
    ]


def test_a_workload_status_adds_up() -> None:
    before, after = new(r.DEPLOYMENTS, spec=WEB), new(r.DEPLOYMENTS, spec=WEB)
    after["metadata"]["resourceVersion"] = "1"
    after["status"] = {"replicas": 1, "readyReplicas": 2}
    assert [str(error) for error in validate_status_update(r.DEPLOYMENTS, after, before)] == [
        "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"
    ]


# EndpointSlices and Endpoints


def slice_errors(*endpoints: Document, kind: str = "IPv4", ports: list[Document] | None = None) -> list[str]:
    return errors(r.ENDPOINTSLICES, addressType=kind, endpoints=list(endpoints), ports=ports or [])


def test_a_slice_has_a_fixed_address_type() -> None:
    assert errors(r.ENDPOINTSLICES) == ["addressType: Required value"]
    assert slice_errors(kind="IP") == ['addressType: Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"']
    assert changes(r.ENDPOINTSLICES, {"addressType": "IPv4"}, addressType="IPv6") == [
        'addressType: Invalid value: "IPv6": field is immutable'
    ]


@pytest.mark.parametrize(
    ("kind", "address", "problem"),
    [
        ("IPv4", "fd00::1", "must be a valid IPv4 address"),
        ("IPv6", "10.0.0.1", "must be a valid IPv6 address"),
        ("IPv4", "10.0.0.01", "must not have leading 0s"),
        ("IPv4", "127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("FQDN", "localhost", "should be a domain with at least two segments separated by dots"),
    ],
)
def test_addresses_are_of_the_slices_type(kind: str, address: str, problem: str) -> None:
    assert slice_errors({"addresses": [address]}, kind=kind) == [
        f'endpoints[0].addresses[0]: Invalid value: "{address}": {problem}'
    ]


def test_a_slice_is_bounded() -> None:
    assert slice_errors({"addresses": []}) == [
        "endpoints[0].addresses: Required value: must contain at least 1 address"
    ]
    many = [{"addresses": ["10.0.0.1"]}] * 1001
    assert slice_errors(*many) == ["endpoints: Too many: 1001: must have at most 1000 items"]
    hints = {"forZones": [{"name": f"z{i}"} for i in range(9)]}
    assert slice_errors({"addresses": ["10.0.0.1"], "hints": hints}) == [
        "endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"
    ]


def test_slice_ports_have_unique_names() -> None:
    assert slice_errors(ports=[{"port": 80}, {"port": 81}]) == ['ports[1].name: Duplicate value: ""']
    assert slice_errors(ports=[{"port": 80, "protocol": "X"}]) == [
        'ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"'
    ]


def test_endpoints_have_addresses_and_named_ports() -> None:
    good = {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}
    assert errors(r.ENDPOINTS, subsets=[good]) == []
    assert errors(r.ENDPOINTS, subsets=[{"ports": [{"port": 80}]}]) == [
        "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"
    ]
    two = good | {"ports": [{"port": 80, "name": "a"}, {"port": 81}]}
    assert errors(r.ENDPOINTS, subsets=[two]) == ["subsets[0].ports[1].name: Required value"]
    odd = good | {"notReadyAddresses": [{"ip": "10.0.0.01"}]}
    error = 'subsets[0].notReadyAddresses[0].ip: Invalid value: "10.0.0.01": must not have leading 0s'
    assert errors(r.ENDPOINTS, subsets=[odd]) == [error]
    assert changes(r.ENDPOINTS, {"subsets": [odd]}) == []


# ConfigMaps and Secrets


def test_config_keys_are_valid_and_in_one_place() -> None:
    assert errors(r.CONFIGMAPS, data={"a": "x"}, binaryData={"a": "YQ=="}) == [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData'
    ]
    assert errors(r.CONFIGMAPS, data={"..": "x"}) == ["data[..]: Invalid value: \"..\": must not be '..'"]
    assert errors(r.CONFIGMAPS, data={"a": "x" * (1024 * 1024 + 1)}) == [
        ": Too long: may not be more than 1048576 bytes"
    ]


@pytest.mark.parametrize("resource", [r.CONFIGMAPS, r.SECRETS])
def test_immutable_configuration_stays(resource: r.Resource) -> None:
    old = {"data": {"a": "YQ=="}, "immutable": True}
    why = "Forbidden: field is immutable when `immutable` is set"
    assert changes(resource, old) == []
    assert changes(resource, old, data={}) == [f"data: {why}"]
    assert changes(resource, old, immutable=False) == [f"immutable: {why}"]


def test_secrets_are_base64_and_never_shown() -> None:
    [error] = errors(r.SECRETS, data={"a": "geheim!"})
    assert error == 'data[a]: Invalid value: "<value omitted>": must be base64 (RFC 4648)'


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("kubernetes.io/tls", ["data[tls.crt]", "data[tls.key]"]),
        ("kubernetes.io/ssh-auth", ["data[ssh-privatekey]"]),
        ("kubernetes.io/basic-auth", ["data[username]", "data[password]"]),
        ("kubernetes.io/dockerconfigjson", ["data[.dockerconfigjson]"]),
        (
            "kubernetes.io/service-account-token",
            ["metadata.annotations[kubernetes.io/service-account.name]"],
        ),
    ],
)
def test_known_secret_types_need_their_keys(kind: str, missing: list[str]) -> None:
    assert errors(r.SECRETS, type=kind) == [f"{path}: Required value" for path in missing]


def test_the_type_of_a_secret_stays() -> None:
    assert changes(r.SECRETS, {"type": "Opaque"}, type="other") == ['type: Invalid value: "other": field is immutable']


# The cluster's own kinds


def test_pod_ranges_and_provider_of_a_node_stay_once_set() -> None:
    assert changes(r.NODES, {"spec": {}}, spec={"podCIDR": "10.244.1.0/24", "unschedulable": True}) == []
    [error] = changes(r.NODES, {"spec": {"podCIDR": "10.244.1.0/24"}}, spec={"podCIDR": "10.244.2.0/24"})
    assert error == 'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'
    assert changes(r.NODES, {"spec": {}}, spec={"externalID": "x"}) == [
        "spec: Forbidden: node updates may only change labels, taints, or capacity"
    ]


def test_taints_are_complete_and_unique() -> None:
    taint = {"key": "a", "effect": "NoSchedule"}
    assert errors(r.NODES, spec={"taints": [taint]}) == []
    assert errors(r.NODES, spec={"taints": [taint, taint]})[0].startswith("spec.taints[1]: Duplicate value: {")
    assert errors(r.NODES, spec={"taints": [{"key": "a"}]}) == ["spec.taints[0].effect: Required value"]


def test_finalizers_of_a_namespace_are_standard_or_qualified() -> None:
    assert errors(r.NAMESPACES, spec={"finalizers": ["kubernetes", "a.b/c"]}) == []
    assert errors(r.NAMESPACES, spec={"finalizers": ["mine"]}) == [
        'spec.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'
    ]


def test_events_live_beside_what_they_speak_of() -> None:
    assert errors(r.EVENTS, involvedObject={"namespace": "shop"}) == []
    assert errors(r.EVENTS, involvedObject={"namespace": "other"}) == [
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace'
    ]


def test_leases_last_a_while() -> None:
    assert errors(r.LEASES, spec={"leaseDurationSeconds": 0}) == [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"
    ]


def test_service_ranges_are_one_or_two_and_only_grow() -> None:
    one, both = {"cidrs": ["10.96.0.0/16"]}, {"cidrs": ["10.96.0.0/16", "fd00::/112"]}
    assert errors(r.SERVICECIDRS, spec=both) == []
    assert errors(r.SERVICECIDRS, spec={}) == ["spec.cidrs: Required value: at least one CIDR required"]
    assert errors(r.SERVICECIDRS, spec={"cidrs": ["10.96.0.0/16", "10.97.0.0/16"]})[0].endswith(
        "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
    )
    assert changes(r.SERVICECIDRS, {"spec": one}, spec=both) == []
    assert changes(r.SERVICECIDRS, {"spec": both}, spec=one) == [
        'spec.cidrs: Invalid value: ["10.96.0.0/16"]: field is immutable'
    ]


def test_ip_addresses_are_named_by_themselves_and_belong_to_someone() -> None:
    parent = {"resource": "services", "namespace": "shop", "name": "web"}
    assert errors(r.IPADDRESSES, name="10.96.0.1", spec={"parentRef": parent}) == []
    assert errors(r.IPADDRESSES, name="2001:DB8::1", spec={"parentRef": parent}) == [
        'metadata.name: Invalid value: "2001:DB8::1": must be in canonical form ("2001:db8::1")'
    ]
    assert errors(r.IPADDRESSES, name="10.96.0.1") == ["spec.parentRef: Required value"]
    [error] = changes(
        r.IPADDRESSES, {"name": "10.96.0.1", "spec": {"parentRef": parent}}, spec={"parentRef": parent | {"name": "b"}}
    )
    assert error.endswith("field is immutable")
