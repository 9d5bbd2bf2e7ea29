"""`kubesvc demo`: the lab of Kubernetes Services, each step shown, run and checked."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nodes", type=int, default=2, metavar="N", help="how many nodes (default: 2)")
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
    from kubesvc.cli.flags import require_root

    require_root("kubesvc demo")
    return walk_lab(args)
