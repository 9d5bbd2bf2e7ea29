"""`kubesvc demo`: the lab of Kubernetes Services, each step shown, run and checked."""

import argparse

from kubesvc.cli.flags import node_count, require_root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nodes", type=node_count, default=2, metavar="N", help="how many nodes (default: 2)")
    parser.add_argument(
        "--proxy-mode",
        choices=("nftables", "iptables"),
        default="nftables",
        help="how nodes program the kernel (default: nftables)",
    )
    parser.add_argument("--keep", action="store_true", help="leave the cluster running at the end")
    parser.add_argument(
        "--name",
        "--cluster-name",
        dest="cluster_name",
        default="demo",
        metavar="CLUSTER",
        help="the cluster's name (default: demo)",
    )
    parser.add_argument("--no-kubectl", action="store_true", help="use kubesvc's own commands even if kubectl is there")


def run(args: argparse.Namespace) -> int:
    """Exit 0 only if every step passed."""
    from kubesvc.cli.demo.lab import walk_lab

    require_root("kubesvc demo", args)
    return walk_lab(args)
