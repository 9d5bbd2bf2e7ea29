"""How a proxy is told what to do: the options of `kubesvc proxy`."""

from collections.abc import Callable
from dataclasses import dataclass, field
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
    cluster_cidr: str = ""
    """Where pods have their addresses; "" where that is not known: then no source is taken for a pod."""
    service_cidrs: tuple[str, ...] = ()
    """Ranges of Services beyond what the API's ServiceCIDRs say."""
    bind_address: str = ""
    """This node's primary address where it is not the one that its status states first; "" or unspecified: it is."""
    bind_hard_fail: bool = False
    """Whether to give up where /healthz or /metrics cannot have their port, instead of trying again."""
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
    udp_seconds: int = 0
    udp_stream_seconds: int = 0
    oom_score_adj: int | None = None
    endpoint_metrics: bool = False
    traffic_bytes: bool = False
    cleanup: bool = False
    init_only: bool = False
    master: str = ""
    """The API server's address where it is not the kubeconfig's."""
    config_file: Path | None = None
    """Where some of this was read; when that changes, the proxy ends to be started anew."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What was asked for and has no effect, or may not mean what was meant."""
    ready_file: Path | None = None
    ready: Callable[[], None] | None = None
