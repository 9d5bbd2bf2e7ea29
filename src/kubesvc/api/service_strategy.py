"""What happens to a Service before its addresses and ports are allocated (KEP-1880, KEP-563).

On update a client may leave out what the API server allocated for it: it is inherited. When the
type changes, fields the new type has no use for are wiped, but only those the client left as
they were; what it changed itself is for validation to refuse.
"""

from collections.abc import Callable
from typing import Any

from kubesvc.api.defaults.service import is_externally_accessible

Document = dict[str, Any]
Condition = Callable[[Document], bool]

_WITH_CLUSTER_IP = frozenset({"ClusterIP", "NodePort", "LoadBalancer"})
_WITH_NODE_PORTS = frozenset({"NodePort", "LoadBalancer"})


def needs_cluster_ip(spec: Document) -> bool:
    """Whether the type has a cluster IP, be it `None`."""
    return spec.get("type", "ClusterIP") in _WITH_CLUSTER_IP


def needs_node_ports(spec: Document) -> bool:
    """Whether the type may have node ports; a load balancer may do without (`allocateLoadBalancerNodePorts`)."""
    return spec.get("type") in _WITH_NODE_PORTS


def needs_health_check_port(spec: Document) -> bool:
    return is_load_balancer(spec) and spec.get("externalTrafficPolicy") == "Local"


def is_load_balancer(spec: Document) -> bool:
    return spec.get("type") == "LoadBalancer"


def is_headless(spec: Document) -> bool:
    return (spec.get("clusterIPs") or []) == ["None"] or spec.get("clusterIP") == "None"


def prepare_service_create(service: Document) -> None:
    """Clear the status and pair `clusterIP` with `clusterIPs`, in place."""
    service["status"] = {"loadBalancer": {}}
    spec = service["spec"]
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def prepare_service_update(new: Document, old: Document) -> None:
    """Inherit what was allocated, pair the address fields, wipe what the new type does not use; in place."""
    new["status"] = old.get("status") or {"loadBalancer": {}}
    inherit_allocated(new["spec"], old["spec"])
    _pair_cluster_ips(new["spec"], old["spec"])
    wipe_unused(new["spec"], old["spec"])
    _trim_to_single_stack(new["spec"], old["spec"])
    if is_load_balancer(old["spec"]) and not is_load_balancer(new["spec"]):
        new["status"] = {**new["status"], "loadBalancer": {}}


def inherit_allocated(new: Document, old: Document) -> None:
    """Addresses, node ports (by port name) and the health check port a client left out stay what they were."""
    if needs_cluster_ip(old) and needs_cluster_ip(new):
        if not new.get("clusterIP") and old.get("clusterIP"):
            new["clusterIP"] = old["clusterIP"]
        if not new.get("clusterIPs") and new.get("clusterIP") == old.get("clusterIP") and old.get("clusterIPs"):
            new["clusterIPs"] = list(old["clusterIPs"])
    if needs_node_ports(old) and needs_node_ports(new):
        _inherit_node_ports(new, old)
    inherits_check = needs_health_check_port(old) and needs_health_check_port(new)
    if inherits_check and not new.get("healthCheckNodePort") and old.get("healthCheckNodePort"):
        new["healthCheckNodePort"] = old["healthCheckNodePort"]


def _inherit_node_ports(new: Document, old: Document) -> None:
    taken = node_ports(old) & node_ports(new)
    by_name = {port.get("name") or "": port.get("nodePort") or 0 for port in old.get("ports") or ()}
    for port in new.get("ports") or ():
        inherited = by_name.get(port.get("name") or "", 0)
        if not port.get("nodePort") and inherited and inherited not in taken:
            port["nodePort"] = inherited
            taken.add(inherited)


def node_ports(spec: Document) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}


def _pair_cluster_ips(new: Document, old: Document) -> None:
    """Old clients know `clusterIP` only: carry what they did to it over to `clusterIPs`."""
    address, previous = new.get("clusterIP") or "", old.get("clusterIP") or ""
    addresses, before = new.get("clusterIPs") or [], old.get("clusterIPs") or []
    if before and not addresses and address == previous:
        new["clusterIPs"] = list(before)
    elif address != previous and addresses == before:
        new["clusterIPs"] = [address] if address else []
    if not new.get("clusterIPs"):
        new.pop("clusterIPs", None)


def wipe_unused(new: Document, old: Document) -> None:
    """Drop what the old type had and the new one has no use for, as far as the client left it alone."""
    for field, needed in _BELONGS_TO:
        if needed(old) and not needed(new) and _unchanged(new, old, field):
            new.pop(field, None)
    leaves_node_ports = needs_node_ports(old) and not needs_node_ports(new)
    if leaves_node_ports and node_ports(new) <= node_ports(old):
        for port in new.get("ports") or ():
            port.pop("nodePort", None)


def _has_policy(spec: Document) -> bool:
    return is_externally_accessible(spec)


_BELONGS_TO: tuple[tuple[str, Condition], ...] = (
    ("clusterIP", needs_cluster_ip),
    ("clusterIPs", needs_cluster_ip),
    ("ipFamilies", needs_cluster_ip),
    ("ipFamilyPolicy", needs_cluster_ip),
    ("healthCheckNodePort", needs_health_check_port),
    ("allocateLoadBalancerNodePorts", is_load_balancer),
    ("loadBalancerClass", is_load_balancer),
    ("externalTrafficPolicy", _has_policy),
)


def _unchanged(new: Document, old: Document, field: str) -> bool:
    return (new.get(field) or None) == (old.get(field) or None)


def _trim_to_single_stack(new: Document, old: Document) -> None:
    """Asking for SingleStack alone releases the secondary address and family."""
    if new.get("ipFamilyPolicy") != "SingleStack" or old.get("ipFamilyPolicy") in (None, "SingleStack"):
        return
    for field in ("clusterIPs", "ipFamilies"):
        if len(new.get(field) or ()) == 2 and _unchanged(new, old, field):
            new[field] = new[field][:1]
