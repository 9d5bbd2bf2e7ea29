"""Command-line flags of `kubesvc dns`."""

import argparse
from pathlib import Path

from kubesvc.dns.options import DnsOptions

_DEFAULTS = DnsOptions()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add every flag of the DNS server to `parser`."""
    # fmt: off
    add = parser.add_argument
    add("--kubeconfig", type=Path, metavar="FILE",
        help="credentials and address of the API server; without it those of the pod this runs in")
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
    add("--upstream", action="append", default=[], metavar="ADDRESS[:PORT]|FILE",
        help="ask this server for all other names; a path names a resolv.conf to take servers from; repeatable")
    add("--policy", choices=("random", "round_robin", "sequential"), default=_DEFAULTS.policy,
        help="which upstream to ask first (default: %(default)s)")
    add("--ttl", type=int, default=_DEFAULTS.ttl, metavar="SECONDS",
        help="how long clients may remember an answer or a denial (default: %(default)s)")
    add("--pods", choices=("disabled", "insecure", "verified"), default=_DEFAULTS.pods,
        help="names such as 10-0-0-1.NS.pod: none, any address in an existing namespace, or only those"
        " of running pods (default: %(default)s)")
    add("--endpoint-pod-names", action="store_true",
        help="name endpoints that have no hostname after their pods instead of their addresses")
    add("--outside", choices=("nxdomain", "refused", "servfail"), default=_DEFAULTS.outside,
        help="what all other names get when there is no upstream (default: %(default)s)")
    add("--lameduck", type=float, default=_DEFAULTS.lameduck, metavar="SECONDS",
        help="go on answering this long after SIGTERM, until clients have been led elsewhere (default: %(default)g)")
    add("--workers", type=int, default=_DEFAULTS.workers, metavar="N",
        help="processes that answer, besides the one that watches; 0: one process does both (default: %(default)s)")
    add("--log-queries", action="store_true", help="log every query")
    add("--cache-size", type=int, default=_DEFAULTS.cache_size, metavar="N",
        help="answers of upstreams to remember; 0 for none (default: %(default)s)")
    # fmt: on


def options_from(args: argparse.Namespace) -> DnsOptions:
    """The options that parsed flags stand for."""
    return DnsOptions(
        kubeconfig=args.kubeconfig,
        domain=args.domain.rstrip("."),
        bind=args.bind,
        port=args.port,
        health_port=args.health_port,
        ready_port=args.ready_port,
        metrics_port=args.metrics_port,
        upstreams=tuple(args.upstream),
        policy=args.policy,
        ttl=args.ttl,
        pods=args.pods,
        endpoint_pod_names=args.endpoint_pod_names,
        outside=args.outside,
        lameduck=args.lameduck,
        workers=args.workers,
        log_queries=args.log_queries,
        cache_size=args.cache_size,
    )
