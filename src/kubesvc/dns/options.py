"""What `kubesvc dns` can be told."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DnsOptions:
    """Settings of one DNS server. Times are in seconds.

    `workers` 0 answers in the process that watches, which is the smallest; with 1 or more, that
    many processes answer, and no amount of change in the cluster can hold an answer up.
    """

    kubeconfig: Path | None = None  # None: the pod's own credentials
    domain: str = "cluster.local"
    bind: str = "0.0.0.0"  # one address, or several with commas between
    port: int = 53
    health_port: int = 8080  # 0: none; likewise the two below
    ready_port: int = 8181
    metrics_port: int = 9153
    upstreams: tuple[str, ...] = ()  # ADDRESS, ADDRESS:PORT, [V6]:PORT, or a resolv.conf's path
    policy: str = "random"  # which upstream first: "random", "round_robin" or "sequential"
    ttl: int = 5
    pods: str = "insecure"  # "disabled", "insecure" or "verified"
    endpoint_pod_names: bool = False
    outside: str = "nxdomain"  # what foreign names get without an upstream
    lameduck: float = 5.0
    workers: int = 0
    log_queries: bool = False
    cache_size: int = 9984
    ns_name: str = "kube-dns.kube-system.svc"
