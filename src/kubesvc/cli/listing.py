"""`kubesvc list`: the clusters on this machine."""

import argparse
import json
import sys

from kubesvc.cli import exits
from kubesvc.cli.output import say, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("json", "name"), help="print JSON, or just the names")


def run(args: argparse.Namespace) -> int:
    from kubesvc.cluster.ledger import StateDirectory, broken_clusters, clusters
    from kubesvc.cluster.records import supervisor_alive

    found = clusters()
    for name in broken_clusters():
        say(f"cluster {name!r} has an unreadable ledger; remove it with: sudo kubesvc down --name {name}")
    if args.output == "name":
        sys.stdout.writelines(f"{ledger.name}\n" for ledger in found)
        return exits.SUCCESS
    rows = [
        {
            "name": ledger.name,
            "status": "Running" if supervisor_alive(StateDirectory(ledger.name)) else "Stopped",
            "nodes": ledger.node_count,
            "proxyMode": ledger.proxy_mode,
            "loadBalancer": ledger.pool if ledger.load_balancer else "",
            "api": f"https://127.0.0.1:{ledger.api_port}",
        }
        for ledger in found
    ]
    if args.output == "json":
        print(json.dumps(rows, indent=2))
    elif not rows:
        say("There are no clusters. Start one with: sudo kubesvc up")
    else:
        header = ("NAME", "STATUS", "NODES", "PROXY-MODE", "LOAD-BALANCER", "API")
        print(table([header, *([str(value) or "off" for value in row.values()] for row in rows)]))
    return exits.SUCCESS
