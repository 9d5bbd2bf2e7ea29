"""Flags that several commands share, and what they mean."""

import argparse
import os

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


def require_root(what: str) -> None:
    """Refuse early and clearly what cannot work without root. Raises Refusal."""
    if os.geteuid() != 0:
        raise Refusal(
            f"{what} needs root: it makes network namespaces and starts processes in them",
            f"sudo {what}",
            code=exits.PRIVILEGE,
        )
