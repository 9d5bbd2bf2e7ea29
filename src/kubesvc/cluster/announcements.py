"""P: over which nodes each load-balancer address is reached.

What a cloud's load balancer does with its health checks (KEP-3458, `externalTrafficPolicy`): with
policy Cluster every ready node is a way to the Service, with policy Local only the nodes that run a
ready endpoint of it, so that the client's address survives.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from kubesvc.api.views import EndpointSlice, Node, Service

_SERVICE_NAME = "kubernetes.io/service-name"
_EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"

Ways = Mapping[str, tuple[str, ...]]


def announced_ways(
    services: Iterable[Service], slices: Iterable[EndpointSlice], nodes: Iterable[Node], *, pool: IPv4Network
) -> Ways:
    """Load-balancer address -> addresses of the nodes to send it to, sorted; addresses without a way are absent."""
    addresses = {node.metadata.name: address for node in nodes if (address := _usable_address(node))}
    local = _nodes_with_endpoints(slices)
    ways: dict[str, tuple[str, ...]] = {}
    for service in services:
        if service.spec.type != "LoadBalancer":
            continue
        names: Iterable[str] = addresses
        if service.spec.external_traffic_policy == "Local":
            names = local[service.metadata.namespace, service.metadata.name] & addresses.keys()
        chosen = tuple(sorted(addresses[name] for name in names))
        if chosen:
            ways.update((vip, chosen) for vip in _addresses_in(service, pool))
    return ways


def _usable_address(node: Node) -> str:
    """The InternalIP of a node that is ready and not excluded, else ""."""
    if _EXCLUDED in (node.metadata.labels or {}):
        return ""
    ready = any(c.type == "Ready" and c.status == "True" for c in node.status.conditions or ())
    internal = [a.address for a in node.status.addresses or () if a.type == "InternalIP" and ":" not in a.address]
    return internal[0] if ready and internal else ""


def _nodes_with_endpoints(slices: Iterable[EndpointSlice]) -> defaultdict[tuple[str, str], set[str]]:
    """(namespace, service) -> names of nodes with a ready endpoint.

    A Service whose endpoints are all terminating is served by those that still serve (KEP-1669).
    """
    ready: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    draining: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for piece in slices:
        service = (piece.metadata.namespace, (piece.metadata.labels or {}).get(_SERVICE_NAME, ""))
        for endpoint in piece.endpoints or ():
            conditions = endpoint.conditions
            if endpoint.node_name is None:
                continue
            if conditions.ready is not False and not conditions.terminating:
                ready[service].add(endpoint.node_name)
            elif conditions.terminating and conditions.serving is not False:
                draining[service].add(endpoint.node_name)
    for service, names in draining.items():
        if not ready[service]:
            ready[service] = names
    return ready


def _addresses_in(service: Service, pool: IPv4Network) -> Iterable[str]:
    for ingress in service.status.load_balancer.ingress or ():
        # A provider that proxies by itself (ipMode Proxy) is not announced by us.
        if ingress.ip_mode in (None, "VIP") and _within(ingress.ip, pool):
            yield ingress.ip


def _within(address: str, pool: IPv4Network) -> bool:
    try:
        return IPv4Address(address) in pool
    except AddressValueError:
        return False
