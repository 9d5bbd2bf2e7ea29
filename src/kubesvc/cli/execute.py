"""`kubesvc exec`: a command in a pod, over a WebSocket (`v5.channel.k8s.io`)."""

import argparse
import asyncio
import os
import sys

from kubesvc.api.resources import PODS
from kubesvc.cli import exits
from kubesvc.cli.access import add_access, connect, namespace_of
from kubesvc.cli.exits import Refusal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pod", metavar="POD|TYPE/NAME", help="a pod, or deploy/NAME, svc/NAME and the like: a ready pod of it"
    )
    parser.add_argument("-c", "--container", default="", help="which container (default: the first)")
    parser.add_argument("-i", "--stdin", action="store_true", help="pass standard input to the command")
    parser.add_argument("-t", "--tty", action="store_true", help="give the command a terminal")
    add_access(parser)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- COMMAND [ARG...]", help="what to run")


def run(args: argparse.Namespace) -> int:
    command = args.arguments[1:] if args.arguments[:1] == ["--"] else args.arguments
    if not command:
        raise Refusal("no command to run", "kubesvc exec POD -- COMMAND [ARG...]", code=exits.USAGE)
    return asyncio.run(_run(args, command))


async def _run(args: argparse.Namespace, command: list[str]) -> int:
    from kubesvc.cli.channels import Channels, open_channels
    from kubesvc.cli.pod_choice import choose_pod
    from kubesvc.cli.terminal import raw_terminal
    from kubesvc.client.http import HttpTransport

    tty = args.tty and os.isatty(0)
    query = [("stdout", "true"), ("stderr", "false" if tty else "true")]
    query += [("command", word) for word in command]
    query += [("stdin", "true")] if args.stdin else []
    query += [("tty", "true")] if tty else []
    query += [("container", args.container)] if args.container else []
    namespace = namespace_of(args)
    async with connect(args) as client:
        path = PODS.path(namespace, await choose_pod(client, args.pod, namespace), "exec")
        transport = client.transport
        assert isinstance(transport, HttpTransport)
        async with open_channels(transport, path, query) as socket:
            with raw_terminal(enabled=tty):
                return await Channels(socket, stdin=args.stdin, tty=tty, out=sys.stdout.buffer).run()
