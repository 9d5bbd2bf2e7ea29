"""Flags of `kubesvc node`."""

import argparse
import socket
from pathlib import Path

from kubesvc.node.images import BUILTINS
from kubesvc.node.options import NodeOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define every flag on `parser`."""
    add = parser.add_argument
    add(
        "--kubeconfig",
        metavar="FILE",
        type=Path,
        required=True,
        help="how to reach the API server, as system:node:<name>",
    )
    add(
        "--node-name",
        metavar="NAME",
        default=socket.gethostname(),
        help="name of the Node object (default: the hostname)",
    )
    add("--node-ip", metavar="IP", required=True, help="the node's address, as other nodes reach it")
    add("--pod-cidr", metavar="CIDR", required=True, help="IPv4 network of this node's pods, such as 10.244.1.0/24")
    add("--cluster-dns", metavar="IP", default="10.96.0.10", help="name server of pods (default: %(default)s)")
    add(
        "--cluster-domain",
        metavar="DOMAIN",
        default="cluster.local",
        help="domain of the cluster (default: %(default)s)",
    )
    add(
        "--state-dir",
        metavar="FOLDER",
        type=Path,
        default=Path("/var/lib/kubesvc/node"),
        help="where pods keep their files (default: %(default)s)",
    )
    add(
        "--kubelet-port",
        metavar="PORT",
        type=int,
        default=10250,
        help="port of the node's own HTTPS API (default: %(default)s)",
    )
    add("--tls-cert-file", metavar="FILE", type=Path, required=True, help="certificate of the node's own API, PEM")
    add("--tls-private-key-file", metavar="FILE", type=Path, required=True, help="its private key, PEM")
    add(
        "--kubelet-token-file",
        metavar="FILE",
        type=Path,
        required=True,
        help="bearer token that callers of the node's API present",
    )
    add(
        "--node-labels",
        metavar="KEY=VALUE[,...]",
        default="",
        help="more labels of the Node, key=value separated by commas",
    )
    add(
        "--mtu",
        metavar="BYTES",
        type=int,
        default=0,
        help="MTU of the pods' links (default: that of the node's own link)",
    )


def options_from(args: argparse.Namespace) -> NodeOptions:
    """The options that the parsed flags stand for; ValueError names a flag that cannot be read."""
    return NodeOptions(
        kubeconfig=args.kubeconfig,
        node_name=args.node_name,
        node_ip=args.node_ip,
        pod_cidr=args.pod_cidr,
        state_dir=args.state_dir,
        tls_cert=args.tls_cert_file,
        tls_key=args.tls_private_key_file,
        kubelet_token_file=args.kubelet_token_file,
        cluster_dns=args.cluster_dns,
        cluster_domain=args.cluster_domain,
        kubelet_port=args.kubelet_port,
        labels=parse_labels(args.node_labels),
        builtins=BUILTINS,
        mtu=args.mtu,
    )


def parse_labels(text: str) -> dict[str, str]:
    """`a=b,c=d` as a mapping."""
    labels = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise ValueError(f"--node-labels: {part!r} is not key=value")
        labels[key] = value
    return labels
