"""Which API server a command talks to: `--kubeconfig`, `--context`, `--cluster`, else what kubectl would use."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kubesvc.cli import exits
from kubesvc.cli.exits import Refusal

if TYPE_CHECKING:
    from kubesvc.client.rest import Client


def add_access(parser: argparse.ArgumentParser, *, cluster: bool = True, namespace: bool = True) -> None:
    """The flags that choose a server and a namespace."""
    parser.add_argument("--kubeconfig", default="", metavar="FILE", help="the kubeconfig to use (default: as kubectl)")
    parser.add_argument("--context", default="", help="the context to use (default: the current one)")
    if cluster:
        parser.add_argument("--cluster", default="", metavar="NAME", help="a cluster of this machine, by its name")
    if namespace:
        parser.add_argument("-n", "--namespace", default="", help="the namespace (default: the context's, or default)")


def connect(args: argparse.Namespace) -> "Client":
    """A client of the chosen server. Raises Refusal and the client's own KubeconfigError."""
    from kubesvc.client.rest import Client

    return Client.from_kubeconfig(kubeconfig_of(args), context=args.context or None, user_agent="kubesvc-cli")


def namespace_of(args: argparse.Namespace) -> str:
    """The namespace asked for, else the context's own."""
    if args.namespace:
        return str(args.namespace)
    from kubesvc.client.kubeconfig import read_kubeconfig

    return read_kubeconfig(kubeconfig_of(args), context=args.context or None).namespace or "default"


def kubeconfig_of(args: argparse.Namespace) -> Path:
    """The file with the access; a lone cluster of this machine serves where the person has no kubeconfig."""
    if args.cluster:
        return _of_cluster(args.cluster)
    from kubesvc.cluster.kubeconfig_files import user_file

    file = user_file(args.kubeconfig)
    if file.exists() or args.kubeconfig or args.context:
        return file
    from kubesvc.cluster.ledger import clusters

    try:
        found = clusters()
    except PermissionError as err:
        raise Refusal(
            f"no kubeconfig at {file}, and this machine's clusters are for root to see",
            "run it with sudo, or say --kubeconfig",
            code=exits.PRIVILEGE,
        ) from err
    if len(found) == 1:
        return _of_cluster(found[0].name)
    raise Refusal(
        f"no kubeconfig at {file}, and {len(found) or 'no'} clusters on this machine",
        "choose one with --cluster" if found else "sudo kubesvc up",
    )


def _of_cluster(name: str) -> Path:
    from kubesvc.cluster.ledger import StateDirectory
    from kubesvc.cluster.topology import check_name

    path = StateDirectory(check_name(name)).kubeconfig("admin")
    try:
        os.stat(path)
    except FileNotFoundError:
        raise Refusal(f"there is no cluster {name!r}", f"sudo kubesvc up --name {name}") from None
    return path
