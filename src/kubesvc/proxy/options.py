"""How a proxy is told what to do: the options of `kubesvc proxy`."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Mode(StrEnum):
    """Which part of the kernel the rules are written for."""

    NFTABLES = "nftables"
    IPTABLES = "iptables"


class LocalDetector(StrEnum):
    """How a packet from one of this node's pods is told from others (`detectLocalMode`)."""

    CLUSTER_CIDR = "ClusterCIDR"
    NODE_CIDR = "NodeCIDR"
    BRIDGE_INTERFACE = "BridgeInterface"
    INTERFACE_NAME_PREFIX = "InterfaceNamePrefix"


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """Everything one proxy needs; addresses are `ADDRESS:PORT`, "" turns a server off.

    Of the conntrack numbers, 0 leaves the kernel's own.
    """

    kubeconfig: Path | None
    node_name: str
    mode: str = Mode.NFTABLES
    cluster_cidr: str = "10.244.0.0/16"
    service_cidrs: tuple[str, ...] = ("10.96.0.0/16",)
    detect_local: LocalDetector = LocalDetector.CLUSTER_CIDR
    pod_bridge: str = ""
    pod_interface_prefix: str = ""
    nodeport_addresses: tuple[str, ...] = ()
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_nodeports: bool = True
    min_sync_period: float = 0.0
    sync_period: float = 30.0
    healthz_bind: str = "0.0.0.0:10256"
    metrics_bind: str = "127.0.0.1:10249"
    conntrack_max_per_core: int = 32768
    conntrack_min: int = 131072
    tcp_established_seconds: int = 86400
    tcp_close_wait_seconds: int = 3600
    tcp_be_liberal: bool = False
    endpoint_metrics: bool = False
    cleanup: bool = False
    init_only: bool = False
    master: str = ""
    """The API server's address where it is not the kubeconfig's."""
    ready_file: Path | None = None
    ready: Callable[[], None] | None = None
