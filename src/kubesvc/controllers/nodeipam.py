"""The pod address range of each node: one /24 (IPv6: /64) of the cluster's pod network."""

from collections.abc import Container
from ipaddress import IPv4Network, ip_network

from kubesvc.api.addresses import Network
from kubesvc.api.resources import NODES
from kubesvc.api.views import Node
from kubesvc.controllers.changes import Change, Note, Patch, Tell
from kubesvc.controllers.meta import key_of, reference


def held_range(node: Node) -> Network | None:
    try:
        return ip_network(node.spec.pod_cidr, strict=False) if node.spec.pod_cidr else None
    except ValueError:
        return None


def reconcile(node: Node, *, cluster: Network, taken: Container[Network]) -> tuple[list[Change], Network | None]:
    """The changes and the range the node holds after them; a range once given is never changed."""
    if node.spec.pod_cidr or node.metadata.deletion_timestamp is not None:
        return [], held_range(node)
    length = max(24 if isinstance(cluster, IPv4Network) else 64, cluster.prefixlen)
    free = next((block for block in cluster.subnets(new_prefix=length) if block not in taken), None)
    if free is None:
        message = f"Node {node.metadata.name} status is now: CIDRNotAvailable"
        return [Tell(Note(reference(NODES, node.metadata), "CIDRNotAvailable", message))], None
    patch = {"spec": {"podCIDR": str(free), "podCIDRs": [str(free)]}}
    return [Patch(NODES, key_of(node.metadata), patch)], free
