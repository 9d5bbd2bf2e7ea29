"""Command-line flags of `kubesvc dns`."""

import argparse
from pathlib import Path

from kubesvc.dns.corefile import read_corefile
from kubesvc.dns.nameservers import read_upstreams
from kubesvc.dns.options import DnsOptions, HostsOptions
from kubesvc.dns.tuning import POLICIES, CacheTuning

_DEFAULTS = DnsOptions()


_EPILOG = """\
Port 53 takes root, CAP_NET_BIND_SERVICE, or the sysctl net.ipv4.ip_unprivileged_port_start.

  kubesvc dns --kubeconfig dns.conf --corefile Corefile
  kubesvc dns --kubeconfig dns.conf --upstream /etc/resolv.conf --stub-domain corp=10.0.0.53

docs/on-your-cluster.md: in place of CoreDNS, step by step, and back.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add every flag of the DNS server to `parser`."""
    # fmt: off
    parser.usage, parser.epilog = "%(prog)s [FLAGS]", _EPILOG
    add = parser.add_argument_group("the API server and where it answers").add_argument
    add("--kubeconfig", type=Path, metavar="FILE",
        help="credentials and address of the API server; without it those of the pod this runs in")
    add("--corefile", type=_corefile, metavar="FILE",
        help="a CoreDNS configuration to follow, also as it changes; what it says counts more than other flags")
    add("--domain", default=_DEFAULTS.domain, metavar="NAME", help="the cluster's domain (default: %(default)s)")
    add("--bind", default=_DEFAULTS.bind, metavar="ADDRESS[,ADDRESS]",
        help="addresses to answer on, by UDP and TCP (default: %(default)s)")
    add("--port", type=int, default=_DEFAULTS.port, help="port to answer on (default: %(default)s)")
    add("--health-port", type=int, default=_DEFAULTS.health_port, metavar="PORT",
        help="HTTP /health: 200 while the process lives; 0 for none (default: %(default)s)")
    add("--ready-port", type=int, default=_DEFAULTS.ready_port, metavar="PORT",
        help="HTTP /ready: 200 once all names are known; 0 for none (default: %(default)s)")
    add("--metrics-port", type=int, default=_DEFAULTS.metrics_port, metavar="PORT",
        help="HTTP /metrics for Prometheus; 0 for none (default: %(default)s)")
    add = parser.add_argument_group("names outside of the cluster").add_argument
    add("--config-dir", type=Path, metavar="DIR",
        help="follow the files stubDomains and upstreamNameservers in here: kube-dns' ConfigMap, mounted")
    add("--upstream", action="append", type=_upstream, default=[], metavar="ADDRESS[:PORT]|FILE",
        help="ask this server for all other names; a path names a resolv.conf to take servers from; repeatable")
    add("--stub-domain", action="append", type=_stub_domain, default=[], metavar="ZONE=ADDRESS[,ADDRESS]",
        help="ask these servers for the names of this zone; repeatable")
    add("--hosts", metavar="FILE", help="answer the names of this hosts file, and follow its changes")
    add("--policy", choices=POLICIES, default=_DEFAULTS.policy,
        help="which upstream to ask first (default: %(default)s)")
    add("--outside", choices=("nxdomain", "refused", "servfail"), default=_DEFAULTS.outside,
        help="what all other names get when there is no upstream (default: %(default)s)")
    add("--cache-size", type=int, default=_DEFAULTS.cache.size, metavar="N",
        help="answers of upstreams to remember; 0 for none (default: %(default)s)")
    add = parser.add_argument_group("the cluster's names").add_argument
    add("--ttl", type=int, default=_DEFAULTS.ttl, metavar="SECONDS",
        help="how long clients may remember an answer or a denial (default: %(default)s)")
    add("--pods", choices=("disabled", "insecure", "verified"), default=_DEFAULTS.pods,
        help="names such as 10-0-0-1.NS.pod: none, any address in an existing namespace, or only those"
        " of running pods (default: %(default)s)")
    add("--endpoint-pod-names", action="store_true",
        help="name endpoints that have no hostname after their pods instead of their addresses")
    add("--autopath", action="store_true",
        help="walk the search list for pods: answer the first name of a search with what its last would find")
    add = parser.add_argument_group("how it runs").add_argument
    add("--lameduck", type=float, default=_DEFAULTS.lameduck, metavar="SECONDS",
        help="go on answering this long after SIGTERM, until clients have been led elsewhere (default: %(default)g)")
    add("--workers", type=int, default=_DEFAULTS.workers, metavar="N",
        help="processes that answer, besides the one that watches; 0: one process does both (default: %(default)s)")
    add("--log-queries", action="store_true", help="log every query")
    # fmt: on


def options_from(args: argparse.Namespace) -> DnsOptions:
    """The options that parsed flags stand for; the Corefile is read when the server starts."""
    return DnsOptions(
        kubeconfig=args.kubeconfig,
        domain=args.domain.rstrip("."),
        bind=args.bind,
        port=args.port,
        health_port=args.health_port,
        ready_port=args.ready_port,
        metrics_port=args.metrics_port,
        upstreams=tuple(args.upstream),
        stub_domains=tuple(args.stub_domain),
        hosts=HostsOptions(file=args.hosts) if args.hosts else None,
        corefile=args.corefile,
        config_dir=args.config_dir,
        policy=args.policy,
        ttl=args.ttl,
        pods=args.pods,
        endpoint_pod_names=args.endpoint_pod_names,
        autopath=args.autopath,
        outside=args.outside,
        lameduck=args.lameduck,
        workers=args.workers,
        log_queries=args.log_queries,
        cache=CacheTuning(size=args.cache_size),
    )


def _corefile(text: str) -> Path:
    path = Path(text)
    try:
        options = read_corefile(path, DnsOptions())
        read_upstreams([*options.upstreams, *(server for _, servers in options.stub_domains for server in servers)])
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
    except OSError as err:
        raise argparse.ArgumentTypeError(f"{err.filename}: {err.strerror}") from err
    return path


def _upstream(text: str) -> str:
    try:
        read_upstreams([text])
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
    except OSError as err:
        raise argparse.ArgumentTypeError(f"{text}: {err.strerror}") from err
    return text


def _stub_domain(text: str) -> tuple[str, tuple[str, ...]]:
    zone, _, servers = text.partition("=")
    if not zone or not servers:
        raise argparse.ArgumentTypeError(f"{text!r}: ZONE=ADDRESS is expected")
    return zone.rstrip("."), tuple(_upstream(server) for server in servers.split(","))
