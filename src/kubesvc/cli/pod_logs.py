"""The log of a pod's container, through the API."""

import argparse
import asyncio
import sys

from kubesvc.aio.web import aiohttp
from kubesvc.api.resources import PODS
from kubesvc.api.status import NotFound
from kubesvc.cli import exits
from kubesvc.cli.access import connect, namespace_of
from kubesvc.cli.exits import Refusal
from kubesvc.cli.pod_choice import choose_pod
from kubesvc.client.http import HttpTransport, error_from
from kubesvc.client.transport import Response


def print_pod_log(args: argparse.Namespace) -> int:
    """Copy the log to stdout, to its end or, following, until interrupted."""
    try:
        return asyncio.run(_print(args))
    except NotFound as err:
        raise not_found(err, args) from err


def not_found(err: NotFound, args: argparse.Namespace) -> Refusal:
    """The refusal for a pod that is not there; a word without a type may have been meant for a component."""
    listing = "kubesvc logs" + (f" --name {args.name}" if args.name else "")
    hint = "" if "/" in args.what else f"{listing} lists the components that have a log"
    return Refusal(f"from server ({err.reason}): {err.message}", hint)


async def _print(args: argparse.Namespace) -> int:
    query = {"container": args.container} if args.container else {}
    if args.tail >= 0:
        query["tailLines"] = str(args.tail)
    for flag in ("follow", "previous", "timestamps"):
        if getattr(args, flag):
            query[flag] = "true"
    async with connect(args) as client:
        transport = client.transport
        assert isinstance(transport, HttpTransport)
        namespace = namespace_of(args)
        name = await choose_pod(client, args.what, namespace)
        url = transport.url(PODS.path(namespace, name, "log"))
        unlimited = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with transport.session.get(url, params=query, headers=transport.headers(), timeout=unlimited) as answer:
            if answer.status != 200:
                raise error_from(Response(answer.status, await answer.read()))
            async for chunk in answer.content.iter_any():
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
    return exits.SUCCESS
