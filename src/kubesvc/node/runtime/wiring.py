"""A pod's network: a routed veth pair, no bridge.

The pod has its address as a /32 on `eth0` and the link-local gateway every pod has; the node has a
host route to the pod. Every packet thus passes the node's IP layer and its rules, also between two
pods of one node: a reply of a Service's endpoint cannot slip past the connection tracking that has to
undo its translation, as it does on a bridge without br_netfilter. Both ends know each other's MAC
address beforehand, so the first packet waits for no ARP.
"""

from pathlib import Path

from kubesvc.linux.netlink import RouteSocket
from kubesvc.node.runtime.protocol import NetworkSpec

GATEWAY = "169.254.1.1"
_HOST_MAC = "ee:ee:ee:ee:ee:ee"
_POD_MAC = "ee:ee:ee:ee:ee:01"


def wire_pod(node: RouteSocket, pod: RouteSocket, pod_netns: int, network: NetworkSpec) -> None:
    """Connect the namespace `pod_netns` (where `pod` speaks) with the node's (where `node` speaks)."""
    pod.link_set("lo", up=True)
    node.link_delete(network.host_link)
    node.link_add_veth(
        network.host_link,
        "eth0",
        peer_netns_fd=pod_netns,
        address=_HOST_MAC,
        peer_address=_POD_MAC,
        mtu=network.mtu,
    )
    pod.address_add("eth0", f"{network.address}/32")
    pod.link_set("eth0", up=True)
    pod.route_replace(GATEWAY, dev="eth0")
    pod.route_replace("default", via=GATEWAY, dev="eth0", src=network.address)
    pod.neighbour_replace("eth0", GATEWAY, _HOST_MAC)
    node.link_set(network.host_link, up=True)
    node.route_replace(f"{network.address}/32", dev=network.host_link, src=network.node_address)
    node.neighbour_replace(network.host_link, network.address, _POD_MAC)


def open_low_ports() -> None:
    """Let every user answer on every port of the caller's own network, as container engines do for pods."""
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")


def unwire_pod(node: RouteSocket, network: NetworkSpec) -> None:
    """Take the node's end away, and the pod's and the route with it. Idempotent."""
    node.link_delete(network.host_link)
