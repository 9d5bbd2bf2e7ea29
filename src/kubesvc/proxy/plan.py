"""Service ports + endpoints + node -> plans: the decisions every backend shares."""

from collections.abc import Iterable, Mapping, Sequence

from kubesvc.proxy.addresses import range_contains
from kubesvc.proxy.endpoints import SliceEndpoints, merge_slices
from kubesvc.proxy.model import (
    EMPTY_SERVICE_PLAN,
    Endpoint,
    HealthCheck,
    NodeFacts,
    PortPlan,
    ServicePlan,
    ServicePort,
    ServicePortName,
)
from kubesvc.proxy.topology import any_usable, cluster_targets, local_targets


def plan_service(
    ports: Mapping[ServicePortName, ServicePort], slices: Iterable[SliceEndpoints], node: NodeFacts
) -> ServicePlan:
    """The plans of one Service's ports in one family, and its health check."""
    if not ports:
        return EMPTY_SERVICE_PLAN
    slices = tuple(slices)
    plans: dict[ServicePortName, PortPlan] = {}
    local_ready: set[str] = set()
    for name, port in ports.items():
        endpoints = merge_slices(slices, (name.port, name.protocol))
        plans[name] = plan_port(port, endpoints, node)
        local_ready.update(e.ip for e in endpoints if e.ready and e.node == node.name)
    return ServicePlan(plans, _health_check(ports, len(local_ready)))


def plan_port(port: ServicePort, endpoints: Sequence[Endpoint], node: NodeFacts) -> PortPlan:
    """What this node does with connections to `port`; `endpoints` are sorted and distinct."""
    cluster = cluster_targets(endpoints, node) if port.uses_cluster_list else ()
    local = local_targets(endpoints, node) if port.uses_local_list else ()
    return PortPlan(
        service=port,
        cluster=cluster,
        local=local,
        any_usable=bool(cluster) or any_usable(endpoints),
        hairpins=_hairpins(port, endpoints, {*cluster, *local}, node),
        serving=tuple(e.target for e in endpoints if e.serving) if port.name.protocol == "UDP" else (),
        allow_vip_sources=any(
            range_contains(cidr, address) for cidr in port.source_ranges for address in node.addresses
        ),
    )


def _hairpins(
    port: ServicePort, endpoints: Sequence[Endpoint], chosen: set[tuple[str, int]], node: NodeFacts
) -> tuple[str, ...]:
    """Addresses of endpoints that may meet themselves on this node.

    A pod's connection can come back to the pod only through its own node; except that a Local
    external policy sends pods of other nodes through the cluster list unmasqueraded too. An
    endpoint without a node name may be anywhere.
    """
    anywhere = port.external and port.external_local
    return tuple(sorted({e.ip for e in endpoints if e.target in chosen and (anywhere or e.node in ("", node.name))}))


def _health_check(ports: Mapping[ServicePortName, ServicePort], local_ready: int) -> HealthCheck | None:
    for name, port in ports.items():
        if port.health_check_node_port:
            return HealthCheck(name.namespace, name.service, port.health_check_node_port, local_ready)
    return None
