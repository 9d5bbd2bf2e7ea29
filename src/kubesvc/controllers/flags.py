"""The flags of `kubesvc controllers`."""

import argparse
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubesvc.controllers.run import ControllersOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags with their help."""
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        required=True,
        metavar="FILE",
        help="kubeconfig file with the API server's address and this component's credentials",
    )
    parser.add_argument(
        "--cluster-ca",
        type=Path,
        required=True,
        metavar="FILE",
        help="PEM file of the API server's certificate authority, published to every namespace as ConfigMap "
        "kube-root-ca.crt",
    )
    parser.add_argument(
        "--load-balancer-pool",
        type=_cidr,
        default="",
        metavar="CIDR",
        help="addresses to give to Services of type LoadBalancer, such as 10.89.1.0/24; without it no provider is "
        "configured and their EXTERNAL-IP stays <pending>",
    )
    parser.add_argument(
        "--cluster-cidr",
        type=_cidr,
        default="10.244.0.0/16",
        metavar="CIDR",
        help="the network that nodes without a pod address range get one of (a /24 each; default %(default)s)",
    )
    parser.add_argument(
        "--metrics-bind-address",
        type=_address,
        default="127.0.0.1:10257",
        metavar="ADDRESS:PORT",
        help='where /metrics, /healthz and /readyz are, over plain HTTP; "" for nowhere (default %(default)s)',
    )


def options_from(args: argparse.Namespace) -> "ControllersOptions":
    from kubesvc.controllers.run import ControllersOptions  # not for --help: it imports all controllers

    return ControllersOptions(
        kubeconfig=args.kubeconfig,
        cluster_ca=args.cluster_ca,
        load_balancer_pool=args.load_balancer_pool,
        cluster_cidr=args.cluster_cidr,
        metrics_bind=args.metrics_bind_address,
    )


def _cidr(text: str) -> str:
    if not text:
        return ""
    try:
        return str(ip_network(text))
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"{text!r} is not a network such as 10.89.1.0/24: {err}") from err


def _address(text: str) -> str:
    _, colon, port = text.rpartition(":")
    if text and not (colon and port.isdecimal() and int(port) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as 127.0.0.1:10257")
    return text
