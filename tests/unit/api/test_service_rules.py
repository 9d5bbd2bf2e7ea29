"""The rules of a Service, one after the other, with the sentences clients know."""

from copy import deepcopy
from typing import Any

import pytest

from kubesvc.api.defaults import apply_defaults
from kubesvc.api.resources import SERVICES
from kubesvc.api.strategy import prepare_create
from kubesvc.api.validation import invalid_error, validate_create, validate_status_update, validate_update

Document = dict[str, Any]

HTTP: Document = {"name": "http", "port": 80}
LABEL_RULE = "a lowercase RFC 1123 label must consist of"
ONLY_LB = "may only be used when `type` is 'LoadBalancer'"


def service(name: str = "web", *, annotations: dict[str, str] | None = None, **spec: Any) -> Document:
    """A Service as a client sends it, defaulted and prepared as on create."""
    obj: Document = {"metadata": {"name": name, "namespace": "shop"}, "spec": {"ports": [dict(HTTP)]} | spec}
    if annotations:
        obj["metadata"]["annotations"] = annotations
    apply_defaults(SERVICES, obj)
    prepare_create(SERVICES, obj)
    return obj


def errors(**spec: Any) -> list[str]:
    return [str(error) for error in validate_create(SERVICES, service(**spec))]


def changes(old: Document, **spec: Any) -> list[str]:
    """The errors of an update to `spec` fields; None removes a field."""
    new = deepcopy(old)
    new["metadata"]["resourceVersion"] = "1"
    for field, value in spec.items():
        new["spec"][field] = value
        if value is None:
            del new["spec"][field]
    return [str(error) for error in validate_update(SERVICES, new, old)]


# 1


@pytest.mark.parametrize("name", ["web", "1web", "a" * 63])
def test_a_name_is_a_label_and_may_start_with_a_digit(name: str) -> None:
    assert errors(name=name) == []


@pytest.mark.parametrize("name", ["Web", "web_1", "web-"])
def test_a_name_that_is_no_label_is_invalid(name: str) -> None:
    [error] = errors(name=name)
    assert error.startswith(f'metadata.name: Invalid value: "{name}": {LABEL_RULE}')


# 2


def test_ports_are_needed() -> None:
    assert errors(ports=[]) == ["spec.ports: Required value"]


def test_ports_are_not_needed_when_headless_or_an_external_name() -> None:
    assert errors(ports=[], clusterIP="None") == []
    assert errors(ports=[], type="ExternalName", externalName="db.example.com") == []


# 3


def test_several_ports_need_names() -> None:
    assert errors(ports=[{"port": 80}, {"port": 81, "name": "b"}]) == ["spec.ports[0].name: Required value"]


def test_port_names_are_labels_and_unique() -> None:
    [error] = errors(ports=[{"port": 80, "name": "HTTP"}])
    assert error.startswith(f'spec.ports[0].name: Invalid value: "HTTP": {LABEL_RULE}')
    twice = [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]
    assert errors(ports=twice) == ['spec.ports[1].name: Duplicate value: "a"']


# 4


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_port_numbers_are_between_1_and_65535(port: int) -> None:
    error = f"spec.ports[0].port: Invalid value: {port}: must be between 1 and 65535, inclusive"
    assert errors(ports=[{"port": port, "targetPort": 80}]) == [error]


# 5


def test_protocols_are_sctp_tcp_and_udp() -> None:
    for protocol in ("SCTP", "TCP", "UDP"):
        assert errors(ports=[{"port": 80, "protocol": protocol}]) == []
    error = 'spec.ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"'
    assert errors(ports=[{"port": 80, "protocol": "tcp"}]) == [error]


# 6


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("a-very-long-name", "must be no more than 15 bytes"),
        ("a_b", "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
        ("8080", "must contain at least one letter (a-z)"),
        ("a--b", "must not contain consecutive hyphens"),
        ("a-", "must not begin or end with a hyphen"),
    ],
)
def test_target_port_names_are_iana_service_names(target: str, problem: str) -> None:
    error = f'spec.ports[0].targetPort: Invalid value: "{target}": {problem}'
    assert errors(ports=[{"port": 80, "targetPort": target}]) == [error]


def test_target_port_numbers_are_port_numbers() -> None:
    error = "spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive"
    assert errors(ports=[{"port": 80, "targetPort": 70000}]) == [error]


# 7


def test_protocol_and_port_are_unique_together() -> None:
    dns = [{"name": "a", "port": 53, "protocol": "UDP"}, {"name": "b", "port": 53, "protocol": "TCP"}]
    assert errors(ports=dns) == []
    twice = [{"name": "a", "port": 53}, {"name": "b", "port": 53}]
    assert errors(ports=twice) == ['spec.ports[1]: Duplicate value: {"protocol":"TCP","port":53}']


def test_protocol_and_node_port_are_unique_together() -> None:
    twice = [{"name": "a", "port": 1, "nodePort": 30001}, {"name": "b", "port": 2, "nodePort": 30001}]
    assert errors(type="NodePort", ports=twice) == ["spec.ports[1].nodePort: Duplicate value: 30001"]
    twice[1]["protocol"] = "UDP"
    assert errors(type="NodePort", ports=twice) == []


# 8


def test_a_cluster_ip_service_has_no_node_port() -> None:
    error = "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"
    assert errors(ports=[{"port": 80, "nodePort": 30001}]) == [error]


# 9


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_what_is_reached_from_outside_is_not_headless(kind: str) -> None:
    error = f"spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for {kind} services"
    assert errors(type=kind, clusterIP="None") == [error]


# 10


def test_an_external_name_has_no_addresses_or_families() -> None:
    found = errors(
        type="ExternalName",
        externalName="x.y",
        clusterIP="10.96.0.1",
        ipFamilies=["IPv4"],
        ipFamilyPolicy="SingleStack",
    )
    why = "Forbidden: may not be set for ExternalName services"
    assert found == [f"spec.clusterIPs: {why}", f"spec.ipFamilies: {why}", f"spec.ipFamilyPolicy: {why}"]


def test_an_external_name_is_required_and_a_subdomain_with_at_most_one_trailing_dot() -> None:
    assert errors(type="ExternalName") == ["spec.externalName: Required value"]
    assert errors(type="ExternalName", externalName="db.example.com.") == []
    [error] = errors(type="ExternalName", externalName="db..example.com")
    assert error.startswith('spec.externalName: Invalid value: "db..example.com": a lowercase RFC 1123 subdomain')


def test_the_lab_manifest_of_an_external_name_is_valid() -> None:
    name = "serdar.cbanmzptkrzf.us-east-1.rds.amazonaws.com"
    assert errors(name="mysql-server", ports=[], type="ExternalName", externalName=name) == []


# 11


@pytest.mark.parametrize("seconds", [0, -1, 86401])
def test_the_affinity_timeout_is_at_most_a_day(seconds: int) -> None:
    config = {"clientIP": {"timeoutSeconds": seconds}}
    error = (
        f"spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: {seconds}: "
        "must be greater than 0 and less than 86400"
    )
    assert errors(sessionAffinity="ClientIP", sessionAffinityConfig=config) == [error]


def test_affinity_is_none_or_client_ip() -> None:
    assert errors(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 86400}}) == []
    error = 'spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"'
    assert errors(sessionAffinity="Cookie") == [error]


# 12


def test_cluster_ip_is_the_first_of_cluster_ips() -> None:
    error = 'spec.clusterIPs: Invalid value: ["10.96.0.2"]: first value must match `clusterIP`'
    assert errors(clusterIP="10.96.0.1", clusterIPs=["10.96.0.2"]) == [error]
    error = 'spec.clusterIPs: Invalid value: ["10.96.0.2"]: must be empty when `clusterIP` is not specified'
    assert errors(clusterIPs=["10.96.0.2"]) == [error]


def test_there_are_at_most_two_addresses_one_of_each_family() -> None:
    both = ["10.96.0.1", "fd00::1"]
    assert errors(clusterIP=both[0], clusterIPs=both) == []
    same = ["10.96.0.1", "10.96.0.2"]
    error = (
        'spec.clusterIPs: Invalid value: ["10.96.0.1","10.96.0.2"]: may specify no more than one IP for each IP family'
    )
    assert errors(clusterIP=same[0], clusterIPs=same) == [error]
    three = errors(clusterIP=both[0], clusterIPs=[*both, "fd00::2"])
    assert any(error.endswith("may only hold up to 2 values") for error in three)


def test_none_stands_alone() -> None:
    error = 'spec.clusterIPs: Invalid value: ["None","10.96.0.1"]: \'None\' must be the first and only value'
    assert error in errors(clusterIP="None", clusterIPs=["None", "10.96.0.1"])


# 13


def test_addresses_agree_with_the_families() -> None:
    error = 'spec.clusterIPs[0]: Invalid value: "10.96.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`'
    assert errors(clusterIP="10.96.0.1", ipFamilies=["IPv6"]) == [error]
    assert errors(clusterIP="10.96.0.1", ipFamilies=["IPv4"]) == []


def test_families_and_their_policy_are_known_words() -> None:
    error = 'spec.ipFamilies[0]: Unsupported value: "v4": supported values: "IPv4", "IPv6"'
    assert errors(ipFamilies=["v4"]) == [error]
    assert errors(ipFamilies=["IPv4", "IPv4"]) == ['spec.ipFamilies[1]: Duplicate value: "IPv4"']
    [error] = errors(ipFamilyPolicy="Both")
    assert error.startswith('spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack"')


# 14


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("010.96.0.1", "must not have leading 0s"),
        ("::ffff:10.96.0.1", "must not be an IPv4-mapped IPv6 address"),
        ("somewhere", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    ],
)
def test_addresses_are_strict(address: str, problem: str) -> None:
    assert errors(clusterIP=address) == [f'spec.clusterIPs[0]: Invalid value: "{address}": {problem}']
    assert errors(externalIPs=[address]) == [f'spec.externalIPs[0]: Invalid value: "{address}": {problem}']


def test_source_ranges_have_no_host_bits() -> None:
    error = (
        'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length'
    )
    assert errors(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.1/8"]) == [error]
    assert errors(type="LoadBalancer", loadBalancerSourceRanges=[" 10.0.0.0/8 "]) == []


def test_stored_values_may_keep_their_outdated_spelling() -> None:
    old = service(type="LoadBalancer", externalIPs=["192.0.2.01"], loadBalancerSourceRanges=["10.0.0.1/8"])
    assert changes(old, selector={"a": "b"}) == []
    [error] = changes(old, externalIPs=["192.0.2.01", "192.0.2.02"])
    assert error == 'spec.externalIPs[1]: Invalid value: "192.0.2.02": must not have leading 0s'


# 15


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("0.0.0.0", "may not be unspecified (0.0.0.0)"),
        ("127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("169.254.0.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("224.0.0.1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ],
)
def test_external_ips_are_ordinary_addresses(address: str, problem: str) -> None:
    assert errors(externalIPs=[address]) == [f'spec.externalIPs[0]: Invalid value: "{address}": {problem}']


# 16


def test_source_ranges_are_for_load_balancers() -> None:
    error = f"spec.LoadBalancerSourceRanges: Forbidden: {ONLY_LB}"
    assert errors(loadBalancerSourceRanges=["10.0.0.0/8"]) == [error]


def test_source_ranges_in_the_old_annotation_are_checked_too() -> None:
    key = "service.beta.kubernetes.io/load-balancer-source-ranges"
    found = errors(annotations={key: "10.0.0.0/8, x"}, type="LoadBalancer")
    problem = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
    assert found == [f'metadata.annotations[{key}]: Invalid value: "x": {problem}']
    assert errors(annotations={key: "10.0.0.0/8"}) == [f"metadata.annotations[{key}]: Forbidden: {ONLY_LB}"]


# 17


def test_load_balancer_fields_are_for_load_balancers() -> None:
    assert errors(allocateLoadBalancerNodePorts=True) == [f"spec.allocateLoadBalancerNodePorts: Forbidden: {ONLY_LB}"]
    assert errors(loadBalancerClass="a.b/c") == [f"spec.loadBalancerClass: Forbidden: {ONLY_LB}"]
    [error] = errors(type="LoadBalancer", loadBalancerClass="-")
    assert error.startswith('spec.loadBalancerClass: Invalid value: "-": name part must consist of')


def test_the_class_of_a_load_balancer_never_changes() -> None:
    old = service(type="LoadBalancer", loadBalancerClass="a.b/c")
    error = 'spec.loadBalancerClass: Invalid value: "a.b/d": may not change once set'
    assert changes(old, loadBalancerClass="a.b/d") == [error]


# 18


def test_the_external_policy_needs_a_way_in() -> None:
    error = 'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'
    assert errors(externalTrafficPolicy="Local") == [error]
    assert errors(externalTrafficPolicy="Local", externalIPs=["192.0.2.1"]) == []
    error = 'spec.externalTrafficPolicy: Unsupported value: "Global": supported values: "Cluster", "Local"'
    assert errors(type="NodePort", externalTrafficPolicy="Global") == [error]


def test_the_health_check_port_is_for_local_load_balancers_and_stays() -> None:
    error = (
        "spec.healthCheckNodePort: Invalid value: 30999: "
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
    )
    assert errors(type="NodePort", healthCheckNodePort=30999) == [error]
    local: Document = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    assert errors(**local) == ["spec.healthCheckNodePort: Required value"]
    assert errors(**local, healthCheckNodePort=30999) == []
    old = service(**local, healthCheckNodePort=30999)
    assert changes(old, healthCheckNodePort=30998) == ["spec.healthCheckNodePort: Forbidden: field is immutable"]


def test_the_internal_policy_is_cluster_or_local() -> None:
    error = 'spec.internalTrafficPolicy: Unsupported value: "Node": supported values: "Cluster", "Local"'
    assert errors(internalTrafficPolicy="Node") == [error]


# 19


def test_traffic_distribution_is_one_of_three() -> None:
    for choice in ("PreferClose", "PreferSameZone", "PreferSameNode"):
        assert errors(trafficDistribution=choice) == []
    error = (
        'spec.trafficDistribution: Unsupported value: "Near": '
        'supported values: "PreferClose", "PreferSameNode", "PreferSameZone"'
    )
    assert errors(trafficDistribution="Near") == [error]


# 20


DUAL: Document = {
    "clusterIP": "10.96.0.1",
    "clusterIPs": ["10.96.0.1", "fd00::1"],
    "ipFamilies": ["IPv4", "IPv6"],
    "ipFamilyPolicy": "PreferDualStack",
}
SINGLE: Document = {
    "clusterIP": "10.96.0.1",
    "clusterIPs": ["10.96.0.1"],
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
}


def test_the_cluster_ip_may_not_change() -> None:
    found = changes(service(**SINGLE), clusterIP="10.96.0.2", clusterIPs=["10.96.0.2"])
    assert found == ['spec.clusterIPs[0]: Invalid value: ["10.96.0.2"]: may not change once set']


def test_the_primary_family_may_not_change() -> None:
    found = changes(service(**SINGLE), clusterIP="", clusterIPs=[], ipFamilies=["IPv6"])
    assert "spec.clusterIPs[0]: Invalid value: []: primary clusterIP can not be unset" in found
    assert 'spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set' in found


def test_a_secondary_address_may_be_added_and_released() -> None:
    assert changes(service(**SINGLE), **DUAL) == []
    assert changes(service(**DUAL), **SINGLE) == []


def test_releasing_the_secondary_needs_the_policy_to_say_so() -> None:
    found = changes(service(**DUAL), **(SINGLE | {"ipFamilyPolicy": "PreferDualStack"}))
    problem = "must be set to 'SingleStack' when releasing the secondary"
    path = 'spec.ipFamilyPolicy: Invalid value: "PreferDualStack"'
    assert found == [f"{path}: {problem} clusterIP", f"{path}: {problem} ipFamily"]


def test_addresses_may_change_by_way_of_an_external_name() -> None:
    external = service(ports=[], type="ExternalName", externalName="x.y")
    new = service(**(SINGLE | {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"]}))
    new["metadata"]["resourceVersion"] = "1"
    assert validate_update(SERVICES, new, external) == []


def test_a_service_does_not_become_headless() -> None:
    found = changes(service(**SINGLE), clusterIP="None", clusterIPs=["None"])
    assert found == ['spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set']


# 21


def status_errors(*ingress: Document, kind: str = "LoadBalancer") -> list[str]:
    old = service(type=kind)
    new = deepcopy(old)
    new["metadata"]["resourceVersion"] = "1"
    new["status"] = {"loadBalancer": {"ingress": list(ingress)}}
    return [str(error) for error in validate_status_update(SERVICES, new, old)]


def test_ingress_points_are_for_load_balancers() -> None:
    error = "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"
    assert status_errors({"ip": "192.0.2.1", "ipMode": "VIP"}, kind="NodePort") == [error]
    assert status_errors({"ip": "192.0.2.1", "ipMode": "Proxy"}, {"hostname": "lb.example.com"}) == []


@pytest.mark.parametrize(
    ("ingress", "error"),
    [
        ({"ip": "192.0.2.1"}, "ipMode: Required value: must be specified when `ip` is set"),
        ({"hostname": "a.b", "ipMode": "VIP"}, "ipMode: Forbidden: may not be specified when `ip` is not set"),
        (
            {"ip": "192.0.2.1", "ipMode": "NAT"},
            'ipMode: Unsupported value: "NAT": supported values: "Proxy", "VIP"',
        ),
        ({"hostname": "192.0.2.1"}, 'hostname: Invalid value: "192.0.2.1": must be a DNS name, not an IP address'),
        ({"ip": "192.0.2.01", "ipMode": "VIP"}, 'ip: Invalid value: "192.0.2.01": must not have leading 0s'),
    ],
)
def test_ingress_points_are_an_address_with_its_mode_or_a_name(ingress: Document, error: str) -> None:
    assert status_errors(ingress) == [f"status.loadBalancer.ingress[0].{error}"]


# The rest


def test_the_lab_manifests_are_valid() -> None:
    ports = [{"protocol": "TCP", "port": 3000, "targetPort": 5000}]
    node_ports = [{"protocol": "TCP", "port": 3000, "targetPort": 5000, "nodePort": 30480}]
    assert errors(name="back-end-svc", type="ClusterIP", selector={"app": "back-end"}, ports=ports) == []
    assert errors(name="web-flask-svc", type="NodePort", selector={"app": "web-flask"}, ports=node_ports) == []
    assert errors(name="web-flask-svc", type="LoadBalancer", selector={"app": "web-flask"}, ports=ports) == []


def test_an_unknown_type_is_unsupported() -> None:
    [error] = errors(type="Ingress")
    assert error == (
        'spec.type: Unsupported value: "Ingress": '
        'supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
    )


def test_selectors_hold_labels() -> None:
    [error] = errors(selector={"app": "web server"})
    assert error.startswith('spec.selector: Invalid value: "web server": a valid label must be')


def test_several_errors_make_one_refusal_with_a_cause_each() -> None:
    found = validate_create(SERVICES, service(ports=[{"port": 0, "targetPort": 1, "protocol": "X"}]))
    refusal = invalid_error(SERVICES, "web", found)
    assert refusal.message == (
        'Service "web" is invalid: [spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, '
        'spec.ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"]'
    )
    status = refusal.to_status()
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["details"]["causes"][0] == {
        "reason": "FieldValueInvalid",
        "field": "spec.ports[0].port",
        "message": "Invalid value: 0: must be between 1 and 65535, inclusive",
    }
