"""The cluster's namespaces, links and routes: made, repaired and taken away.

Everything is idempotent: what is there stays, what is missing is made. The host gets one link, one
address and one route; its own tables and settings are never written.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

from kubesvc.cluster.ledger import home
from kubesvc.cluster.topology import SERVICE_CIDR, NodeSite, Topology, host_link, namespace_prefix
from kubesvc.linux import libc, netns
from kubesvc.linux.mounts import DETACH, mount_points
from kubesvc.linux.netlink import RouteSocket

_BRIDGE = "br0"
_NODE_LINK = "eth0"
# Inside the router: the peer of the host's link.
_HOST_PEER = "host"

# Kept while any cluster exists when /run/netns was not a mount before the first one.
_NETNS_MARK = ".netns-directory-made"


def occupied_networks() -> list[IPv4Network]:
    """The IPv4 addresses and routes of this machine."""
    with RouteSocket() as route:
        texts = [address.address for address in route.addresses()]
        texts += [entry.dst for entry in route.routes(table=None)]
    return list(_ipv4_networks(texts))


def ensure_network(topology: Topology) -> None:
    """Bring every namespace, link, address and route of the cluster into being."""
    _remember_netns_directory()
    for name in topology.namespaces:
        _ensure_namespace(name)
    _ensure_router(topology)
    for node in topology.nodes:
        _ensure_node(topology, node)
    _ensure_host(topology)
    _route_pods(topology)


def remove_network(name: str) -> None:
    """Take away what `ensure_network` made for the cluster `name`; its processes must be gone. Idempotent."""
    with RouteSocket() as route:
        # The host's address and routes go with their link.
        route.link_delete(host_link(name))
    for namespace in cluster_namespaces(name):
        netns.delete(namespace)


def has_host_link(name: str) -> bool:
    """Whether the host still has the link of the cluster `name`."""
    with RouteSocket() as route:
        return _has_link(route, host_link(name))


def cluster_namespaces(name: str) -> list[str]:
    """The namespaces of a cluster that exist, by their names alone."""
    # Not by prefix alone: cluster `a` must not find the namespaces of cluster `a-b`.
    pattern = re.compile(re.escape(namespace_prefix(name)) + r"(router|node-\d+)")
    return [found for found in netns.names() if pattern.fullmatch(found)]


def forget_netns_directory() -> None:
    """Undo the mount on /run/netns when it was our first cluster that made it and no namespace is left."""
    mark = home() / _NETNS_MARK
    if not mark.exists() or netns.names():
        return
    directory = str(netns.DIRECTORY)
    while any(mount.path == directory for mount in mount_points()):
        libc.umount(directory, DETACH)
    if mark.read_text().strip() == "directory":
        with contextlib.suppress(OSError):
            netns.DIRECTORY.rmdir()
    mark.unlink()


def _remember_netns_directory() -> None:
    """Note, before the first namespace, whether /run/netns is ours to take away again."""
    directory = netns.DIRECTORY
    if not any(mount.path == str(directory) for mount in mount_points()):
        (home() / _NETNS_MARK).write_text("mount" if directory.exists() else "directory")


def _ensure_namespace(name: str) -> None:
    if netns.exists(name):
        return
    # After a reboot the name is a plain file on a fresh tmpfs, or nothing at all.
    netns.delete(name)
    netns.create(name)


def _ensure_router(topology: Topology) -> None:
    with _inside(topology.router_netns) as route:
        if not _has_link(route, _BRIDGE):
            route.link_add_bridge(_BRIDGE)
        route.address_add(_BRIDGE, f"{topology.router_address}/{topology.node_network.prefixlen}")
        # An address of its own keeps the bridge from changing it as links come and go. Set once: it empties
        # the bridge's neighbour table.
        mac = _mac(topology.router_address.packed)
        has = next(link.address for link in route.links() if link.name == _BRIDGE)
        route.link_set(_BRIDGE, up=True, address=None if has == mac else mac)
        route.route_replace(str(topology.pool), kind="unreachable")
        route.route_replace(str(SERVICE_CIDR), kind="unreachable")
        _set_sysctl("net/ipv4/ip_forward", "1")
        _refuse_at_once()
        # Spread connections, not clients, over the nodes of a load-balancer address.
        _set_sysctl("net/ipv4/fib_multipath_hash_policy", "1")


def _ensure_node(topology: Topology, node: NodeSite) -> None:
    with _opened(node.netns) as namespace, _inside(topology.router_netns) as route:
        if not _has_link(route, node.router_link):
            route.link_add_veth(
                node.router_link,
                _NODE_LINK,
                peer_netns_fd=namespace,
                peer_name_inside=_NODE_LINK,
                peer_address=_mac(node.address.packed),
            )
        route.link_set(node.router_link, up=True, master=_BRIDGE)
    with _inside(node.netns) as route:
        route.address_add(_NODE_LINK, f"{node.address}/{topology.node_network.prefixlen}")
        route.link_set(_NODE_LINK, up=True)
        route.route_replace("default", via=str(topology.router_address))
        _set_sysctl("net/ipv4/ip_forward", "1")
        _refuse_at_once()


def _ensure_host(topology: Topology) -> None:
    link = topology.host_link
    with _opened(topology.router_netns) as namespace, RouteSocket() as route:
        if not _has_link(route, link):
            route.link_add_veth(link, _HOST_PEER, peer_netns_fd=namespace, peer_name_inside=_HOST_PEER)
        route.address_add(link, f"{topology.host_address}/{topology.node_network.prefixlen}")
        route.link_set(link, up=True)
        route.route_replace(str(topology.pool), via=str(topology.router_address), dev=link)
    with _inside(topology.router_netns) as route:
        route.link_set(_HOST_PEER, up=True, master=_BRIDGE)


def _route_pods(topology: Topology) -> None:
    with _inside(topology.router_netns) as route:
        for node in topology.nodes:
            route.route_replace(str(node.pod_cidr), via=str(node.address), dev=_BRIDGE)


def _has_link(route: RouteSocket, name: str) -> bool:
    return any(link.name == name for link in route.links())


@contextlib.contextmanager
def _inside(name: str) -> Iterator[RouteSocket]:
    with netns.entered(name), RouteSocket() as route:
        yield route


@contextlib.contextmanager
def _opened(name: str) -> Iterator[int]:
    descriptor = netns.open_netns(name)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_at_once() -> None:
    """Tell every sender that there is no way, not six and then one a second: the others would wait a second."""
    _set_sysctl("net/ipv4/icmp_ratelimit", "0")


def _set_sysctl(name: str, value: str) -> None:
    """Set a network setting of the namespace this thread is in."""
    Path("/proc/sys", name).write_text(value)


def _mac(address: bytes) -> str:
    """A locally administered MAC address that follows from an IPv4 address."""
    return (b"\x02\x6b" + address).hex(":")


def _ipv4_networks(texts: list[str]) -> Iterator[IPv4Network]:
    for text in texts:
        if ":" not in text and text != "default":
            yield IPv4Network(text, strict=False)
