"""`kubesvc run NAME --image=IMAGE`: one pod."""

import argparse
from typing import TYPE_CHECKING, Any

from kubesvc.api.resources import PODS
from kubesvc.cli import exits
from kubesvc.cli.access import add_access, namespace_of
from kubesvc.cli.session import with_client

if TYPE_CHECKING:
    from kubesvc.client.rest import Client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pod", metavar="NAME", help="the pod's name")
    parser.add_argument("--image", required=True, help="kubesvc/echo, kubesvc/host, kubesvc/dns or kubesvc/pause")
    parser.add_argument("-l", "--labels", default="", help="labels such as app=web,tier=front (default: run=NAME)")
    parser.add_argument("--env", action="append", default=[], metavar="KEY=VALUE", help="an environment variable")
    parser.add_argument("--port", type=int, help="the port the container exposes")
    parser.add_argument("--restart", choices=("Always", "OnFailure", "Never"), default="Always",
                        help="what to do when it ends")  # fmt: skip
    parser.add_argument("--command", action="store_true", help="the arguments replace the image's command")
    parser.add_argument("arguments", nargs="*", metavar="-- ARG", help="arguments for the image's command")
    add_access(parser)


def run(args: argparse.Namespace) -> int:
    document = pod_document(args)
    namespace = namespace_of(args)

    async def body(client: "Client") -> int:
        await client.create(PODS, document, namespace=namespace)
        print(f"pod/{args.pod} created", flush=True)
        return exits.SUCCESS

    return with_client(args, body)


def pod_document(args: argparse.Namespace) -> dict[str, Any]:
    """The pod that the flags describe."""
    container: dict[str, Any] = {"name": args.pod, "image": args.image}
    if args.env:
        container["env"] = [{"name": k, "value": v} for k, _, v in (pair.partition("=") for pair in args.env)]
    if args.port:
        container["ports"] = [{"containerPort": args.port}]
    if args.arguments:
        container["command" if args.command else "args"] = args.arguments
    labels = dict(pair.split("=", 1) for pair in args.labels.split(",") if "=" in pair) or {"run": args.pod}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": args.pod, "labels": labels},
        "spec": {"containers": [container], "restartPolicy": args.restart},
    }
