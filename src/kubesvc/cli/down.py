"""`kubesvc down`: remove a cluster and everything it put on the machine."""

import argparse

from kubesvc.cli import exits
from kubesvc.cli.flags import DEFAULT_NAME, add_quiet, apply_quiet, require_root
from kubesvc.cli.output import Progress, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--name", default=DEFAULT_NAME, metavar="CLUSTER", help=f"the cluster's name (default: {DEFAULT_NAME})"
    )
    which.add_argument("--all", action="store_true", help="remove every cluster of this machine")
    parser.add_argument(
        "--kubeconfig",
        default="",
        metavar="FILE",
        help="a kubeconfig to remove the context from besides those that up wrote to, which are known",
    )
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    from kubesvc.cluster.ledger import cluster_names
    from kubesvc.cluster.teardown import destroy

    apply_quiet(args)
    require_root("kubesvc down", args)
    names = cluster_names() if args.all else [args.name]
    if not names:
        say("There are no clusters; nothing to do.")
    for name in names:
        progress = Progress()
        progress.doing(f"removing cluster {name!r}")
        warnings = destroy(name, kubeconfig=args.kubeconfig)
        progress.clear()
        for warning in warnings or ():
            say(f"warning: {warning}")
        if warnings is None:
            say(f"There is no cluster {name!r}; nothing to do.")
        else:
            say(f"Cluster {name!r} is gone after {progress.seconds:.2f} s.")
    return exits.SUCCESS
