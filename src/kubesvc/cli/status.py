"""`kubesvc status`: what of a cluster runs, where, and how much memory it takes."""

import argparse
import json
from typing import Any

from kubesvc.cli import exits
from kubesvc.cli.exits import Refusal
from kubesvc.cli.flags import add_name
from kubesvc.cli.output import table

_MIB = 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_name(parser)
    parser.add_argument("-o", "--output", choices=("json",), help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Exit 0 when the cluster is ready, else 1."""
    from kubesvc.cluster.status import cluster_status

    status = cluster_status(args.name)
    if status is None:
        raise Refusal(f"there is no cluster {args.name!r}", f"sudo kubesvc up --name {args.name}")
    if args.output == "json":
        print(json.dumps(status, indent=2))
    else:
        print(_text(status))
    return exits.SUCCESS if status["ready"] else exits.FAILED


def _text(status: dict[str, Any]) -> str:
    facts = [
        ("cluster", f"{status['name']} ({'ready' if status['ready'] else 'not ready'})"),
        ("API", status["api"]),
        ("context", status["context"]),
        ("nodes", f"{len(status['nodes'])} on {status['nodeNetwork']}"),
        ("proxy mode", status["proxyMode"]),
        ("load balancer", status["loadBalancer"] or "off"),
        ("memory", f"{status['memoryBytes'] / _MIB:.0f} MiB (proportional set size, pods aside)"),
    ]
    rows = [("COMPONENT", "STATUS", "PID", "MEMORY", "WHERE")]
    rows += [
        (
            role["name"],
            "Running" if role["pid"] else "Down",
            str(role["pid"] or "-"),
            f"{role['memoryBytes'] / _MIB:.1f} MiB" if role["pid"] else "-",
            role["namespace"],
        )
        for role in status["components"]
    ]
    return "\n".join([*(f"{name + ':':<15} {value}" for name, value in facts), "", table(rows)])
