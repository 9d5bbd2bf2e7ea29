"""`kubesvc create cluster`: the words of other tools for `up`."""

import argparse

from kubesvc.cli import up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("cluster",), help="a cluster; objects are made with kubesvc apply")
    up.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return up.run(args)
