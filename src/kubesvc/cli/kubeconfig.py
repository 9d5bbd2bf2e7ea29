"""`kubesvc kubeconfig`: a kubeconfig for one cluster on stdout."""

import argparse
import sys

from kubesvc.cli import exits
from kubesvc.cli.exits import Refusal
from kubesvc.cli.flags import add_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_name(parser)
    parser.epilog = "Example: kubesvc kubeconfig > lab.yaml && kubectl --kubeconfig lab.yaml get nodes"


def run(args: argparse.Namespace) -> int:
    import yaml

    from kubesvc.cluster.identities import user_entry
    from kubesvc.cluster.kubeconfig import new_document
    from kubesvc.cluster.ledger import StateDirectory
    from kubesvc.cluster.topology import check_name

    state = StateDirectory(check_name(args.name))
    ledger = state.read()
    if ledger is None:
        raise Refusal(f"there is no cluster {args.name!r}", f"sudo kubesvc up --name {args.name}")
    yaml.safe_dump(new_document(user_entry(state, ledger)), sys.stdout, sort_keys=False)
    return exits.SUCCESS
