"""The flags of `kubesvc dns query`; apart, so that its --help needs no client."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `query` takes besides the flags that choose a server."""
    parser.add_argument(
        "name", metavar="NAME", help="a name as a program in a pod would say it, such as web or web.shop"
    )
    parser.add_argument(
        "type", metavar="TYPE", nargs="?", default="A", help="A, AAAA, SRV, PTR, CNAME, TXT ... (default: %(default)s)"
    )
    parser.add_argument(
        "--from-namespace", default="default", metavar="NS", help="the asking pod's namespace (default: %(default)s)"
    )
    parser.add_argument("--domain", default="cluster.local", help="the cluster's domain (default: %(default)s)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print it")
