"""P: the other nodes, as routes to their pods."""

from collections.abc import Iterable
from typing import NamedTuple

from kubesvc.api.views import Node


class Peer(NamedTuple):
    """One pod network and the node address behind which it is."""

    node: str
    pod_cidr: str
    address: str


def peers_of(nodes: Iterable[Node], *, but: str = "") -> frozenset[Peer]:
    """The peers that nodes stand for, except the node named `but`; a node without address or pod network is none."""
    found = set()
    for node in nodes:
        address = internal_address(node)
        if node.metadata.name == but or not address:
            continue
        cidrs = node.spec.pod_cidrs or ((node.spec.pod_cidr,) if node.spec.pod_cidr else ())
        found |= {Peer(node.metadata.name, cidr, address) for cidr in cidrs if ":" not in cidr}
    return frozenset(found)


def internal_address(node: Node) -> str:
    """The node's IPv4 InternalIP, or ""."""
    for each in node.status.addresses or ():
        if each.type == "InternalIP" and ":" not in each.address:
            return each.address
    return ""


def diff_peers(old: frozenset[Peer], new: frozenset[Peer]) -> tuple[list[Peer], list[Peer]]:
    """(routes to put in force, routes to remove); one that only changes its way is put in force alone."""
    kept = {peer.pod_cidr for peer in new}
    return sorted(new - old), sorted(peer for peer in old - new if peer.pod_cidr not in kept)
