"""P: a cluster as names and addresses, derived from a few facts so that nothing can disagree.

host ── ksv-<hash> .254 ─┐
                         br0 .1   router namespace: API server, controllers, announcer
             eth0 .11 ───┤
             eth0 .12 ───┘        node namespaces: agent, proxy, pods behind cni0
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network

MAX_NODES = 100
SERVICE_CIDR = IPv4Network("10.96.0.0/16")
POD_CIDR = IPv4Network("10.244.0.0/16")
CLUSTER_DNS = IPv4Address("10.96.0.10")
CLUSTER_DOMAIN = "cluster.local"
API_PORT = 6443
KUBELET_PORT = 10250
PROXY_HEALTH_PORT = 10256
PROXY_METRICS_PORT = 10249

_FIRST_NODE = 11
_HOST = 254
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?")


class BadName(ValueError):
    """A cluster name that cannot become namespace, link and context names."""


def check_name(name: str) -> str:
    """`name` itself if it is a short DNS label, else BadName."""
    if _NAME.fullmatch(name) is None:
        raise BadName(
            f"cluster name {name!r}: want at most 30 lower-case letters, digits and '-',"
            " beginning and ending with a letter or digit"
        )
    return name


def namespace_prefix(name: str) -> str:
    """What all namespaces of the cluster `name` begin with."""
    return f"ksv-{name}-"


def host_link(name: str) -> str:
    """The one link in the host's namespace; a link name holds 15 bytes at most, hence the hash."""
    return f"ksv-{sha256(name.encode()).hexdigest()[:8]}"


def context_name(name: str) -> str:
    """The kubeconfig context of the cluster `name`."""
    return f"kubesvc-{name}"


@dataclass(frozen=True, slots=True)
class NodeSite:
    """Where one node lives: its namespace, its address on br0, the pods' network behind it."""

    name: str
    netns: str
    address: IPv4Address
    pod_cidr: IPv4Network
    router_link: str


@dataclass(frozen=True, slots=True)
class Topology:
    """All names and addresses of one cluster; every property follows from the four fields."""

    name: str
    node_network: IPv4Network
    pool: IPv4Network
    node_count: int

    @property
    def router_netns(self) -> str:
        return f"{namespace_prefix(self.name)}router"

    @property
    def router_address(self) -> IPv4Address:
        return self.node_network[1]

    @property
    def host_address(self) -> IPv4Address:
        return self.node_network[_HOST]

    @property
    def host_link(self) -> str:
        return host_link(self.name)

    @property
    def api_url(self) -> str:
        """Where the cluster's own components reach the API."""
        return f"https://{self.router_address}:{API_PORT}"

    @property
    def context(self) -> str:
        return context_name(self.name)

    @property
    def nodes(self) -> tuple[NodeSite, ...]:
        subnets = list(POD_CIDR.subnets(new_prefix=24))
        return tuple(
            NodeSite(
                name=f"node-{number}",
                netns=f"{namespace_prefix(self.name)}node-{number}",
                address=self.node_network[_FIRST_NODE + number - 1],
                pod_cidr=subnets[number],
                router_link=f"node-{number}",
            )
            for number in range(1, self.node_count + 1)
        )

    @property
    def namespaces(self) -> tuple[str, ...]:
        return (self.router_netns, *(node.netns for node in self.nodes))
