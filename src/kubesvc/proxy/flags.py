"""The flags of `kubesvc proxy`, named as kube-proxy names them."""

import argparse
import socket
from dataclasses import replace
from pathlib import Path

from kubesvc.proxy.checks import checked
from kubesvc.proxy.config import HEALTHZ_PORT, METRICS_PORT, ConfigError, options_from_document, with_port
from kubesvc.proxy.options import LocalDetector, Mode, ProxyOptions
from kubesvc.proxy.upstream_flags import add_upstream_arguments, duration, switch, with_upstream_flags

_EPILOG = """\
It needs root, or CAP_NET_ADMIN in the network namespace whose rules it writes.

  kubesvc proxy --kubeconfig proxy.conf --cluster-cidr 10.244.0.0/16
  kubesvc proxy --config kube-proxy.yaml --hostname-override node-1
  kubesvc proxy --cleanup

docs/on-your-cluster.md: in place of kube-proxy, step by step, and back.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the proxy's flags to a parser."""
    parser.usage = "%(prog)s [FLAGS]"
    parser.epilog = _EPILOG
    _add_sources(parser.add_argument_group("the API server and this node"))
    _add_rules(parser.add_argument_group("which rules"))
    _add_pages(parser.add_argument_group("what it tells"))
    once = parser.add_argument_group("instead of serving")
    switch(once, "--cleanup", "remove every rule of every mode, and exit")
    switch(once, "--init-only", "set the sysctls that need privilege, and exit")
    add_upstream_arguments(parser)


def _add_sources(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--kubeconfig", type=Path, metavar="FILE", help="how to reach the API (default: the in-cluster configuration)")
    add(
        "--config",
        type=Path,
        metavar="FILE",
        help="a KubeProxyConfiguration v1alpha1 file, as kube-proxy has it; its fields count more than flags",
    )
    add("--hostname-override", default="", metavar="NAME", help="this node's name (default: the host's name)")


def _add_rules(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--proxy-mode",
        choices=[mode.value for mode in Mode],
        default=Mode.NFTABLES.value,
        help="the kernel's part to program (default: %(default)s)",
    )
    add(
        "--cluster-cidr",
        default="",
        metavar="CIDR[,CIDR]",
        help="where pods have their addresses, per family; without it no source is taken for a pod",
    )
    add(
        "--service-cidr",
        default="",
        metavar="CIDR[,CIDR]",
        help="where Services have their addresses, beyond the API's ServiceCIDRs; unallocated ones are dropped",
    )
    add(
        "--detect-local-mode",
        choices=[mode.value for mode in LocalDetector],
        default=LocalDetector.CLUSTER_CIDR.value,
        help="how packets of this node's pods are recognised (default: %(default)s)",
    )
    add("--pod-bridge-interface", default="", metavar="NAME", help="the pods' bridge, for BridgeInterface")
    add(
        "--pod-interface-name-prefix", default="", metavar="PREFIX", help="of pods' interfaces, for InterfaceNamePrefix"
    )
    add(
        "--nodeport-addresses",
        action="append",
        default=[],
        metavar="CIDR[,CIDR]",
        help="where node ports answer: ranges, or primary, localhost, all (default: primary; all in iptables mode)",
    )
    switch(group, "--masquerade-all", "masquerade everything sent to cluster addresses")
    add(
        "--iptables-masquerade-bit",
        type=int,
        default=14,
        metavar="N",
        help="the mark's bit, 0 to 31, that asks for masquerading (default: %(default)s)",
    )
    switch(
        group,
        "--iptables-localhost-nodeports",
        "node ports on 127.0.0.1 in iptables mode (default: true)",
        default=True,
    )
    add(
        "--min-sync-period",
        type=duration,
        default=0.0,
        metavar="DURATION",
        help="the least time between syncs; 0 adapts to load (default: %(default)g)",
    )
    add(
        "--sync-period",
        type=duration,
        default=30.0,
        metavar="DURATION",
        help="twice this long may an update wait before /livez fails (default: %(default)gs)",
    )


def _add_pages(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--healthz-bind-address",
        default="0.0.0.0:10256",
        metavar="ADDRESS:PORT",
        help="/healthz and /livez; empty: none (default: %(default)s)",
    )
    add(
        "--metrics-bind-address",
        default="127.0.0.1:10249",
        metavar="ADDRESS:PORT",
        help="/metrics, /proxyMode and /configz; empty: none (default: %(default)s)",
    )
    switch(group, "--endpoint-metrics", "count connections per endpoint in /metrics too, one series for each")
    switch(
        group,
        "--traffic-bytes",
        "count bytes in /metrics too, per endpoint with --endpoint-metrics; uses nftables in every mode",
    )


def options_from(args: argparse.Namespace) -> ProxyOptions:
    """The options that parsed flags say; what a configuration file says counts more. Raises ConfigError."""
    options = ProxyOptions(
        kubeconfig=args.kubeconfig,
        node_name=args.hostname_override.strip().lower() or socket.gethostname().lower(),
        mode=Mode(args.proxy_mode),
        cluster_cidr=args.cluster_cidr,
        service_cidrs=_list(args.service_cidr),
        detect_local=LocalDetector(args.detect_local_mode),
        pod_bridge=args.pod_bridge_interface,
        pod_interface_prefix=args.pod_interface_name_prefix,
        nodeport_addresses=_list(",".join(args.nodeport_addresses)),
        masquerade_all=args.masquerade_all,
        masquerade_bit=args.iptables_masquerade_bit,
        localhost_nodeports=args.iptables_localhost_nodeports,
        min_sync_period=args.min_sync_period,
        sync_period=args.sync_period,
        healthz_bind=with_port(args.healthz_bind_address, HEALTHZ_PORT),
        metrics_bind=with_port(args.metrics_bind_address, METRICS_PORT),
        endpoint_metrics=args.endpoint_metrics,
        traffic_bytes=args.traffic_bytes,
        cleanup=args.cleanup,
    )
    options = with_upstream_flags(options, args)
    if args.config is not None:
        named = options.node_name if args.hostname_override else ""
        options = replace(_from_file(args.config, options), config_file=args.config)
        # The one flag that kube-proxy, too, puts above its file: DaemonSets share the file, not the name.
        options = replace(options, node_name=named) if named else options
    return checked(options)


def _from_file(path: Path, options: ProxyOptions) -> ProxyOptions:
    import yaml  # only where a file is used

    try:
        return options_from_document(yaml.safe_load(path.read_text()), options)
    except OSError as err:
        raise ConfigError(f"--config {path}: {err.strerror}") from err
    except (UnicodeDecodeError, yaml.YAMLError, ConfigError) as err:
        raise ConfigError(f"--config {path}: {err}") from err


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
