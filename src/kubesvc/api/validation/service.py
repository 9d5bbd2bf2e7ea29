"""Services: the rules for one object, new or changed (API reference, ServiceSpec; KEP-1880, KEP-4444)."""

from collections.abc import Container
from typing import Any

from kubesvc.api.defaults.service import is_externally_accessible
from kubesvc.api.names import (
    check_label,
    check_port_name,
    check_port_number,
    check_qualified,
    check_subdomain,
)
from kubesvc.api.service_strategy import is_headless, is_load_balancer, needs_health_check_port
from kubesvc.api.validation.errors import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubesvc.api.validation.ips import cidr_problems, ip_problems, ordinary_ip_problems
from kubesvc.api.validation.labels import validate_labels
from kubesvc.api.validation.service_addresses import validate_cluster_ips

Document = dict[str, Any]

TYPES = frozenset({"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"})
PROTOCOLS = frozenset({"SCTP", "TCP", "UDP"})
AFFINITIES = frozenset({"ClientIP", "None"})
POLICIES = frozenset({"Cluster", "Local"})
DISTRIBUTIONS = frozenset({"PreferClose", "PreferSameZone", "PreferSameNode"})
MAX_AFFINITY_SECONDS = 86400
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"


def validate_service(service: Document, old: Document | None = None) -> list[FieldError]:
    """Everything but metadata. Address values that `old` already has may keep an outdated spelling."""
    spec, before = service["spec"], (old or {}).get("spec") or {}
    errors: list[FieldError] = []
    if not spec.get("ports") and not is_headless(spec) and spec.get("type") != "ExternalName":
        errors.append(required("spec.ports"))
    errors += _validate_for_type(spec)
    errors += _validate_ports(spec)
    errors += validate_labels(spec.get("selector"), "spec.selector")
    errors += _validate_affinity(spec)
    errors += validate_cluster_ips(spec, before)
    errors += _validate_external_ips(spec, before.get("externalIPs") or ())
    errors += _validate_choice(spec, "type", TYPES)
    errors += _validate_node_ports(spec)
    errors += _validate_unique_ports(spec)
    errors += _validate_source_ranges(service, before.get("loadBalancerSourceRanges") or ())
    errors += _validate_load_balancer_fields(spec)
    errors += _validate_external_policy(spec)
    return errors + _validate_routing(spec)


def _validate_choice(spec: Document, field: str, supported: frozenset[str]) -> list[FieldError]:
    value = spec.get(field)
    if not value:
        return [required(f"spec.{field}")]
    return [] if value in supported else [not_supported(f"spec.{field}", value, supported)]


def _validate_for_type(spec: Document) -> list[FieldError]:
    kind = spec.get("type")
    if kind in ("LoadBalancer", "NodePort") and is_headless(spec):
        return [invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")]
    return _validate_external_name(spec) if kind == "ExternalName" else []


def _validate_external_name(spec: Document) -> list[FieldError]:
    errors = [
        forbidden(f"spec.{field}", "may not be set for ExternalName services")
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        if spec.get(field)
    ]
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        return [*errors, required("spec.externalName")]
    return errors + each_invalid("spec.externalName", name, check_subdomain(name))


def _validate_ports(spec: Document) -> list[FieldError]:
    errors: list[FieldError] = []
    ports = spec.get("ports") or ()
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        name = port.get("name") or ""
        if name:
            errors += each_invalid(f"{path}.name", name, check_label(name))
            if name in seen:
                errors.append(duplicate(f"{path}.name", name))
            seen.add(name)
        elif len(ports) > 1:
            errors.append(required(f"{path}.name"))
        errors += _validate_port(port, path)
    return errors


def _validate_port(port: Document, path: str) -> list[FieldError]:
    number = port.get("port") or 0
    errors = each_invalid(f"{path}.port", number, check_port_number(number))
    protocol = port.get("protocol")
    if not protocol:
        errors.append(required(f"{path}.protocol"))
    elif protocol not in PROTOCOLS:
        errors.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
    errors += validate_port_reference(port.get("targetPort", 0), f"{path}.targetPort")
    if port.get("appProtocol") is not None:
        errors += each_invalid(f"{path}.appProtocol", port["appProtocol"], check_qualified(port["appProtocol"]))
    return errors


def validate_port_reference(value: int | str, path: str) -> list[FieldError]:
    """A number or the name of a container's port."""
    problems = check_port_number(value) if isinstance(value, int) else check_port_name(value)
    return each_invalid(path, value, problems)


def _validate_affinity(spec: Document) -> list[FieldError]:
    errors = _validate_choice(spec, "sessionAffinity", AFFINITIES)
    config, path = spec.get("sessionAffinityConfig"), "spec.sessionAffinityConfig"
    if spec.get("sessionAffinity") == "ClientIP":
        errors += _validate_client_ip(config, path)
    elif spec.get("sessionAffinity") == "None" and config is not None:
        errors.append(forbidden(path, "must not be set when session affinity is None"))
    return errors


def _validate_client_ip(config: Document | None, path: str) -> list[FieldError]:
    missing = "when session affinity type is ClientIP"
    if config is None:
        return [required(path, missing)]
    if config.get("clientIP") is None:
        return [required(f"{path}.clientIP", missing)]
    seconds = config["clientIP"].get("timeoutSeconds")
    if seconds is None:
        return [required(f"{path}.clientIP", missing)]
    if 0 < seconds <= MAX_AFFINITY_SECONDS:
        return []
    problem = f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"
    return [invalid(f"{path}.clientIP.timeoutSeconds", seconds, problem)]


def _validate_external_ips(spec: Document, grandfathered: Container[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, address in enumerate(spec.get("externalIPs") or ()):
        problems = ip_problems(address, grandfathered) or ordinary_ip_problems(address)
        errors += each_invalid(f"spec.externalIPs[{index}]", address, problems)
    return errors


def _validate_node_ports(spec: Document) -> list[FieldError]:
    errors: list[FieldError] = []
    taken: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        number, path = port.get("nodePort") or 0, f"spec.ports[{index}].nodePort"
        if number and spec.get("type") == "ClusterIP":
            errors.append(forbidden(path, "may not be used when `type` is 'ClusterIP'"))
        key = (port.get("protocol") or "", number)
        if number and key in taken:
            errors.append(duplicate(path, number))
        taken.add(key)
    return errors


def _validate_unique_ports(spec: Document) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        key = (port.get("protocol") or "", port.get("port") or 0)
        if key in seen:
            errors.append(duplicate(f"spec.ports[{index}]", {"protocol": key[0], "port": key[1]}))
        seen.add(key)
    return errors


def _validate_source_ranges(service: Document, grandfathered: Container[str]) -> list[FieldError]:
    spec = service["spec"]
    annotation = (service.get("metadata", {}).get("annotations") or {}).get(_SOURCE_RANGES)
    errors: list[FieldError] = []
    if spec.get("loadBalancerSourceRanges"):
        # The capital letter is upstream's: clients match on it.
        path = "spec.LoadBalancerSourceRanges"
        places = [(f"{path}[{i}]", value) for i, value in enumerate(spec["loadBalancerSourceRanges"])]
    elif annotation is not None:
        path = f"metadata.annotations[{_SOURCE_RANGES}]"
        places = [(path, value) for value in annotation.split(",")] if annotation.strip() else []
    else:
        return []
    if not is_load_balancer(spec):
        errors.append(forbidden(path, _ONLY_LOAD_BALANCER))
    for place, value in places:
        errors += each_invalid(place, value.strip(), cidr_problems(value.strip(), grandfathered))
    return errors


def _validate_load_balancer_fields(spec: Document) -> list[FieldError]:
    errors: list[FieldError] = []
    allocate, class_ = spec.get("allocateLoadBalancerNodePorts"), spec.get("loadBalancerClass")
    if is_load_balancer(spec):
        if allocate is None:
            errors.append(required("allocateLoadBalancerNodePorts"))
        if class_ is not None:
            errors += each_invalid("spec.loadBalancerClass", class_, check_qualified(class_))
        return errors
    if allocate is not None:
        errors.append(forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_LOAD_BALANCER))
    if class_ is not None:
        errors.append(forbidden("spec.loadBalancerClass", _ONLY_LOAD_BALANCER))
    return errors


def _validate_external_policy(spec: Document) -> list[FieldError]:
    errors: list[FieldError] = []
    policy, path = spec.get("externalTrafficPolicy") or "", "spec.externalTrafficPolicy"
    if is_externally_accessible(spec):
        errors += _validate_choice(spec, "externalTrafficPolicy", POLICIES)
    elif policy:
        errors.append(invalid(path, policy, "may only be set for externally-accessible services"))
    port, path = spec.get("healthCheckNodePort") or 0, "spec.healthCheckNodePort"
    if needs_health_check_port(spec):
        errors += each_invalid(path, port, check_port_number(port)) if port else [required(path)]
    elif port:
        problem = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(invalid(path, port, problem))
    return errors


def _validate_routing(spec: Document) -> list[FieldError]:
    errors: list[FieldError] = []
    internal, distribution = spec.get("internalTrafficPolicy"), spec.get("trafficDistribution")
    if internal is None and spec.get("type") in ("ClusterIP", "NodePort", "LoadBalancer"):
        errors.append(required("spec.internalTrafficPolicy"))
    elif internal is not None and internal not in POLICIES:
        errors.append(not_supported("spec.internalTrafficPolicy", internal, POLICIES))
    if distribution is not None and distribution not in DISTRIBUTIONS:
        errors.append(not_supported("spec.trafficDistribution", distribution, DISTRIBUTIONS))
    return errors
