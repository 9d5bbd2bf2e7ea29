"""`kubesvc load-balancer on|off`: whether a running cluster gives Services of type LoadBalancer an address."""

import argparse

from kubesvc.cli import exits
from kubesvc.cli.flags import add_name, add_quiet, apply_quiet, require_root
from kubesvc.cli.output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("state", choices=("on", "off"), help="on: addresses from the cluster's pool; off: <pending>")
    add_name(parser)
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    from kubesvc.cluster.launch import switch_load_balancer

    apply_quiet(args)
    require_root("kubesvc load-balancer", args)
    wanted = args.state == "on"
    ledger, changed = switch_load_balancer(args.name, on=wanted)
    where = f"on, addresses from {ledger.pool}" if wanted else "off: Services of that type stay <pending>"
    say(f"Load balancer of cluster {args.name!r} is {where}{'' if changed else ' (it was already)'}.")
    return exits.SUCCESS
