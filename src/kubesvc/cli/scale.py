"""`kubesvc scale`: how many pods a Deployment or ReplicaSet keeps."""

import argparse
from typing import TYPE_CHECKING

from kubesvc.cli import exits
from kubesvc.cli.access import add_access, namespace_of
from kubesvc.cli.session import with_client
from kubesvc.cli.targets import parse_targets

if TYPE_CHECKING:
    from kubesvc.client.rest import Client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="+", metavar="TYPE/NAME", help="such as deploy/web")
    parser.add_argument("--replicas", type=int, required=True, metavar="N", help="the number of pods")
    add_access(parser)


def run(args: argparse.Namespace) -> int:
    targets = parse_targets(args.what)
    namespace = namespace_of(args)

    async def body(client: "Client") -> int:
        for target in targets:
            patch = {"spec": {"replicas": args.replicas}}
            await client.patch(target.resource, target.name, patch, namespace=namespace, subresource="scale")
            print(f"{target} scaled", flush=True)
        return exits.SUCCESS

    return with_client(args, body)
