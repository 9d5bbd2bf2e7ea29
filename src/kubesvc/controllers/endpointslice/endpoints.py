"""One pod as an endpoint of one Service: ports, conditions, topology, hints (EndpointSlice API, KEP-752, KEP-3015)."""

from kubesvc.api.resources import Key
from kubesvc.api.views import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    ForNode,
    ForZone,
    Node,
    ObjectReference,
    Pod,
    Service,
    ServicePort,
)
from kubesvc.controllers.pods import addresses, has_address, is_over, is_ready

ZONE_LABEL = "topology.kubernetes.io/zone"
_CLOSE = ("PreferClose", "PreferSameZone", "PreferSameNode")
Ports = tuple[EndpointPort, ...]
Identity = tuple[tuple[str, ...], str | None, Key | None]


def belongs(pod: Pod, *, include_terminating: bool = True) -> bool:
    """Whether a selected pod is an endpoint at all: it has an address and its containers are not over."""
    if is_over(pod) or not has_address(pod):
        return False
    return include_terminating or pod.metadata.deletion_timestamp is None


def facts(pod: Pod) -> tuple[object, ...]:
    """All of a pod that endpoints are made of; while it stays the same, no Service need be looked at."""
    meta, spec, status = pod.metadata, pod.spec, pod.status
    return (
        meta.uid,
        meta.labels,
        meta.deletion_timestamp is None,
        spec.node_name,
        spec.hostname,
        spec.subdomain,
        is_over(pod),
        is_ready(pod),
        status.pod_ip,
        status.pod_ips,
    )


def is_headless(service: Service) -> bool:
    return service.spec.cluster_ip == "None"


def families(service: Service) -> tuple[str, ...]:
    """The address families a Service wants; derived from its address where an old object does not say."""
    if service.spec.ip_families:
        return service.spec.ip_families
    return ("IPv6",) if ":" in service.spec.cluster_ip else ("IPv4",)


def find_port(pod: Pod, port: ServicePort) -> int | None:
    """The number `targetPort` means in this pod; None when no container port has that name and protocol."""
    target = port.target_port
    if isinstance(target, int):
        return target or port.port
    sidecars = (c for c in pod.spec.init_containers or () if c.restart_policy == "Always")
    for container in (*pod.spec.containers, *sidecars):
        for candidate in container.ports or ():
            if candidate.name == target and candidate.protocol == port.protocol:
                return candidate.container_port
    return None


def resolve_ports(service: Service, pod: Pod) -> Ports:
    """The Service's ports with the numbers they have in this pod; unresolved ones are left out."""
    resolved = []
    for port in service.spec.ports or ():
        number = find_port(pod, port)
        if number is not None:
            resolved.append(
                EndpointPort(name=port.name, protocol=port.protocol, port=number, app_protocol=port.app_protocol)
            )
    return tuple(resolved)


def endpoint_for(service: Service, pod: Pod, node: Node | None, family: str) -> Endpoint | None:
    """The endpoint of `family`, with its hints; None when the pod has no address of it."""
    found = addresses(pod, family)
    if not found:
        return None
    serving = is_ready(pod)
    terminating = pod.metadata.deletion_timestamp is not None
    ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
    zone = ((node.metadata.labels or {}).get(ZONE_LABEL) if node else None) or None
    node_name = pod.spec.node_name or None
    return Endpoint(
        addresses=found,
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=hostname_for(service, pod),
        node_name=node_name,
        zone=zone,
        hints=_hints(service.spec.traffic_distribution, zone, node_name) if ready else None,
        target_ref=target_reference(pod),
    )


def hostname_for(service: Service, pod: Pod) -> str | None:
    """The name under which DNS publishes the pod below this Service, if the pod asks for that."""
    asks = pod.spec.hostname and pod.spec.subdomain == service.metadata.name
    return pod.spec.hostname if asks else None


def target_reference(pod: Pod) -> ObjectReference:
    return ObjectReference(kind="Pod", namespace=pod.metadata.namespace, name=pod.metadata.name, uid=pod.metadata.uid)


def identity(endpoint: Endpoint) -> Identity:
    """What makes two endpoints the same one although conditions, node or uid differ."""
    target = endpoint.target_ref
    return (
        tuple(sorted(endpoint.addresses)),
        endpoint.hostname or None,
        Key(target.namespace, target.name) if target else None,
    )


def _hints(distribution: str | None, zone: str | None, node_name: str | None) -> EndpointHints | None:
    if distribution not in _CLOSE:
        return None
    for_zones = (ForZone(name=zone),) if zone else None
    for_nodes = (ForNode(name=node_name),) if node_name and distribution == "PreferSameNode" else None
    return EndpointHints(for_zones=for_zones, for_nodes=for_nodes) if for_zones or for_nodes else None
