"""`kubesvc delete`: objects by name, by manifest or by label; `delete cluster` is `down`."""

import argparse
import asyncio
from typing import TYPE_CHECKING

from kubesvc.api.status import NotFound
from kubesvc.cli import exits
from kubesvc.cli.access import add_access, namespace_of
from kubesvc.cli.exits import Refusal
from kubesvc.cli.flags import DEFAULT_NAME, duration
from kubesvc.cli.manifests import read_manifests
from kubesvc.cli.session import with_client
from kubesvc.cli.targets import Target, parse_targets

if TYPE_CHECKING:
    from kubesvc.client.rest import Client

_POLL = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="*", metavar="TYPE[/NAME]", help="such as svc/web, pods a b; or cluster")
    parser.add_argument("-f", "--filename", action="append", default=[], metavar="FILE", help="what a manifest names")
    parser.add_argument("-l", "--selector", default="", help="all objects of the type with these labels")
    parser.add_argument("--all", action="store_true", help="all objects of the type in the namespace")
    parser.add_argument("--grace-period", type=int, metavar="SECONDS", help="time for pods to end by themselves")
    parser.add_argument("--now", action="store_true", help="the same as --grace-period=1")
    parser.add_argument("--force", action="store_true", help="with --grace-period=0: do not wait for pods to end")
    parser.add_argument("--ignore-not-found", action="store_true", help="succeed when the object is not there")
    parser.add_argument("--cascade", choices=("background", "foreground", "orphan"), default="background",
                        help="what becomes of the objects it owns")  # fmt: skip
    parser.add_argument("--wait", action=argparse.BooleanOptionalAction, default=True, help="wait until it is gone")
    parser.add_argument(
        "--timeout", type=duration, default=60.0, metavar="TIME", help="how long to wait (default: 60s)"
    )
    parser.add_argument("--name", default="", metavar="CLUSTER", help="with `delete cluster`: which one")
    add_access(parser)


def run(args: argparse.Namespace) -> int:
    if args.what and args.what[0] == "cluster":
        return _delete_cluster(args)
    targets = _targets(args)
    namespace = namespace_of(args)

    async def body(client: "Client") -> int:
        gone = []
        for target, within in await _expanded(client, args, targets, namespace):
            if await _delete(client, args, target, within):
                gone.append((target, within))
        if args.wait:
            async with asyncio.timeout(args.timeout):
                for target, within in gone:
                    await _until_gone(client, target, within)
        return exits.SUCCESS

    try:
        return with_client(args, body)
    except TimeoutError as err:
        raise Refusal(f"timed out after {args.timeout:.0f} s", code=exits.TIMED_OUT) from err


def _delete_cluster(args: argparse.Namespace) -> int:
    from kubesvc.cli import down

    named = args.what[1] if len(args.what) > 1 else ""
    name = args.name or named or DEFAULT_NAME
    return down.run(argparse.Namespace(name=name, all=False, quiet=False, kubeconfig=args.kubeconfig, line=args.line))


def _targets(args: argparse.Namespace) -> list[tuple[Target, str]]:
    found = [
        (Target(resource, document["metadata"]["name"]), document["metadata"].get("namespace", ""))
        for resource, document in read_manifests(args.filename)
    ]
    if args.what:
        found += [(target, "") for target in parse_targets(args.what)]
    if not found:
        raise Refusal("name what to delete, or give a manifest with -f", code=exits.USAGE)
    if any(not target.name for target, _ in found) and not args.selector and not args.all:
        raise Refusal("no name was specified", "add names, -l or --all", code=exits.USAGE)
    return found


async def _expanded(
    client: "Client", args: argparse.Namespace, targets: list[tuple[Target, str]], namespace: str
) -> list[tuple[Target, str]]:
    """Targets without a name become one per object."""
    found = []
    for target, own in targets:
        within = (own or namespace) if target.resource.namespaced else ""
        if target.name:
            found.append((target, within))
            continue
        listing = await client.list(target.resource, namespace=within, label_selector=args.selector)
        found += [(Target(target.resource, item["metadata"]["name"]), within) for item in listing.items]
    return found


async def _delete(client: "Client", args: argparse.Namespace, target: Target, within: str) -> bool:
    grace = 0 if args.force else 1 if args.now else args.grace_period
    propagation = args.cascade.capitalize()
    try:
        await client.delete(
            target.resource, target.name, namespace=within, grace_seconds=grace, propagation=propagation
        )
    except NotFound:
        if args.ignore_not_found:
            return False
        raise
    kind = str(target).partition("/")[0]
    print(f'{kind} "{target.name}" deleted' + (f" from {within} namespace" if within else ""), flush=True)
    return True


async def _until_gone(client: "Client", target: Target, within: str) -> None:
    while True:
        try:
            await client.get(target.resource, target.name, namespace=within)
        except NotFound:
            return
        await asyncio.sleep(_POLL)
