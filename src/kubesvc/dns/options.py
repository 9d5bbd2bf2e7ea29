"""What `kubesvc dns` can be told."""

from dataclasses import dataclass
from pathlib import Path

from kubesvc.dns.rewrite import Rewrite
from kubesvc.dns.tuning import CACHE_DEFAULTS, CacheTuning, ForwardTuning


@dataclass(frozen=True, slots=True)
class HostsOptions:
    """Fixed names: the text of hosts entries, and a file of more that is read again when it changes."""

    text: str = ""
    file: str = ""
    ttl: int = 3600
    reload: float = 5.0
    reverse: bool = True


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
    # Zones with servers of their own: ("corp.example", ("10.0.0.1", ...)).
    stub_domains: tuple[tuple[str, tuple[str, ...]], ...] = ()
    policy: str = "random"  # which upstream first: "random", "round_robin" or "sequential"
    ttl: int = 5
    pods: str = "insecure"  # "disabled", "insecure" or "verified"
    endpoint_pod_names: bool = False
    autopath: bool = False  # walk the search list of pods for them
    outside: str = "nxdomain"  # what foreign names get without an upstream
    lameduck: float = 5.0
    workers: int = 0
    log_queries: bool = False
    cache: CacheTuning = CACHE_DEFAULTS
    caches: tuple[tuple[str, CacheTuning], ...] = ()  # by zone, where it is another
    forward: tuple[tuple[str, ForwardTuning], ...] = ()  # by zone; "." for all other names
    hosts: HostsOptions | None = None
    rewrites: tuple[Rewrite, ...] = ()
    corefile: Path | None = None  # read over these options, and again when it changes
    config_dir: Path | None = None  # kube-dns' ConfigMap as files, likewise
    reload: float = 0.0  # how often to look whether it has; 0: only when told to by a signal
    reload_jitter: float = 0.0  # look this much sooner or later
    ns_name: str = "kube-dns.kube-system.svc"
