"""Flags that several commands share, and what they mean."""

import argparse
import os
import shlex

from kubesvc.cli import exits
from kubesvc.cli.exits import Refusal
from kubesvc.cli.output import set_quiet

DEFAULT_NAME = "lab"


def add_name(parser: argparse.ArgumentParser) -> None:
    """`--name`: which cluster of this machine."""
    parser.add_argument(
        "--name", default=DEFAULT_NAME, metavar="CLUSTER", help=f"the cluster's name (default: {DEFAULT_NAME})"
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """`--quiet`: nothing on stderr but errors."""
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def apply_quiet(args: argparse.Namespace) -> None:
    set_quiet(quiet=args.quiet)


def duration(text: str) -> float:
    """Seconds from `30`, `30s`, `2m` or `500ms`, as kubectl's --timeout takes them."""
    number, factor = text, 1.0
    for suffix, seconds in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if text.endswith(suffix):
            number, factor = text.removesuffix(suffix), seconds
            break
    try:
        return float(number) * factor
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"{text!r}: want a time such as 500ms, 30s or 2m") from err


def node_count(text: str) -> int:
    """A number of nodes, as argparse wants it."""
    from kubesvc.cluster.topology import MAX_NODES

    if not text.isdecimal() or not 1 <= int(text) <= MAX_NODES:
        raise argparse.ArgumentTypeError(f"{text!r}: want 1 to {MAX_NODES}")
    return int(text)


def require_root(what: str, args: argparse.Namespace) -> None:
    """Refuse early and clearly what cannot work without root, with the person's own words to repeat. Raises Refusal."""
    if os.geteuid() != 0:
        raise Refusal(
            f"{what} needs root: it makes network namespaces and starts processes in them",
            f"sudo {shlex.join(getattr(args, 'line', what.split()))}",
            code=exits.PRIVILEGE,
        )
