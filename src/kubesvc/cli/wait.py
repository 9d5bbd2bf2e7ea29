"""`kubesvc wait`: until objects meet a condition, are gone, or a Service has its endpoints."""

import argparse
import asyncio
import time
from typing import TYPE_CHECKING

from kubesvc.api.resources import ENDPOINTSLICES
from kubesvc.api.status import NotFound
from kubesvc.cli import exits
from kubesvc.cli.access import add_access, namespace_of
from kubesvc.cli.conditions import Aim, count_ready, holds, parse_aim
from kubesvc.cli.exits import Refusal
from kubesvc.cli.flags import duration
from kubesvc.cli.session import with_client
from kubesvc.cli.targets import Target, parse_targets

if TYPE_CHECKING:
    from kubesvc.client.rest import Client

_POLL = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="+", metavar="TYPE[/NAME]", help="such as pod/web, deploy/web, svc/web")
    parser.add_argument(
        "--for",
        dest="aim",
        required=True,
        metavar="CONDITION",
        help="condition=NAME[=VALUE], jsonpath={.a.b}=VALUE, create, delete, or for Services endpoints=N",
    )
    parser.add_argument("-l", "--selector", default="", help="all objects of the type with these labels")
    parser.add_argument("--all", action="store_true", help="all objects of the type in the namespace")
    parser.add_argument("--timeout", type=duration, default=30.0, metavar="TIME", help="how long (default: 30s)")
    add_access(parser)


def run(args: argparse.Namespace) -> int:
    try:
        aim = parse_aim(args.aim)
    except ValueError as err:
        raise Refusal(f"--for: {err}", code=exits.USAGE) from err
    targets = parse_targets(args.what)
    namespace = namespace_of(args)
    deadline = time.monotonic() + args.timeout

    async def body(client: "Client") -> int:
        for target in await _named(client, args, targets, namespace):
            await _until(client, target, namespace, aim, deadline)
            print(f"{target} {'deleted' if aim.kind == 'delete' else 'condition met'}", flush=True)
        return exits.SUCCESS

    return with_client(args, body)


async def _named(client: "Client", args: argparse.Namespace, targets: list[Target], namespace: str) -> list[Target]:
    found = [target for target in targets if target.name]
    for target in targets:
        if target.name:
            continue
        if not args.selector and not args.all:
            raise Refusal("no name was specified", "add names, -l or --all", code=exits.USAGE)
        within = namespace if target.resource.namespaced else ""
        listing = await client.list(target.resource, namespace=within, label_selector=args.selector)
        found += [Target(target.resource, item["metadata"]["name"]) for item in listing.items]
    if not found:
        raise Refusal("no matching resources found")
    return found


async def _until(client: "Client", target: Target, namespace: str, aim: Aim, deadline: float) -> None:
    within = namespace if target.resource.namespaced else ""
    while not await _holds(client, target, within, aim):
        if time.monotonic() > deadline:
            raise Refusal(
                f"timed out waiting for {aim} on {target}",
                f"kubesvc describe {target}" + (f" -n {within}" if within else ""),
                code=exits.TIMED_OUT,
            )
        await asyncio.sleep(_POLL)


async def _holds(client: "Client", target: Target, namespace: str, aim: Aim) -> bool:
    try:
        document = await client.get(target.resource, target.name, namespace=namespace)
    except NotFound:
        if aim.kind == "delete":
            return True
        if aim.kind == "create":
            return False
        raise
    if aim.kind == "endpoints":
        selector = f"kubernetes.io/service-name={target.name}"
        slices = await client.list(ENDPOINTSLICES, namespace=namespace, label_selector=selector)
        return count_ready(slices.items) == int(aim.value)
    return holds(aim, document)
