"""What a node agent is told at its start."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

BuiltinImage = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """Everything about one node.

    `pod_cidr` is this node's; `netns` is only a name for people, the agent works in the network
    namespace it is started in. `builtins` maps image names to functions that are called in a forked
    child. `hidden` are host directories that pods see empty, besides `state_dir`.
    """

    kubeconfig: Path
    node_name: str
    node_ip: str
    pod_cidr: str
    state_dir: Path
    tls_cert: Path
    tls_key: Path
    kubelet_token_file: Path
    cluster_dns: str = "10.96.0.10"
    cluster_domain: str = "cluster.local"
    kubelet_port: int = 10250
    labels: Mapping[str, str] = field(default_factory=dict)
    netns: str = ""
    builtins: Mapping[str, BuiltinImage] = field(default_factory=dict)
    hidden: tuple[Path, ...] = (Path("/var/lib/kubesvc"),)
    mtu: int = 0
