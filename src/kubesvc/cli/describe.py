"""`kubesvc describe`: everything about one object, with its events."""

import argparse
from typing import TYPE_CHECKING, Any

from kubesvc.api.resources import ENDPOINTSLICES
from kubesvc.cli import exits
from kubesvc.cli.access import add_access, namespace_of
from kubesvc.cli.describing import describe_object
from kubesvc.cli.get import event_rows
from kubesvc.cli.output import table
from kubesvc.cli.session import with_client
from kubesvc.cli.targets import Target, parse_targets

if TYPE_CHECKING:
    from kubesvc.client.rest import Client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="+", metavar="TYPE[/NAME]", help="such as svc/web, pod web, nodes")
    parser.add_argument("-l", "--selector", default="", help="all objects of the type with these labels")
    add_access(parser)


def run(args: argparse.Namespace) -> int:
    targets = parse_targets(args.what)
    namespace = namespace_of(args)

    async def body(client: "Client") -> int:
        texts: list[str] = []
        for target in targets:
            within = namespace if target.resource.namespaced else ""
            documents = await _documents(client, target, within, args.selector)
            texts += [await _describe(client, target, document, within) for document in documents]
        print("\n\n".join(texts))
        return exits.SUCCESS

    return with_client(args, body)


async def _documents(client: "Client", target: Target, namespace: str, selector: str) -> list[dict[str, Any]]:
    if target.name:
        return [await client.get(target.resource, target.name, namespace=namespace)]
    return (await client.list(target.resource, namespace=namespace, label_selector=selector)).items


async def _describe(client: "Client", target: Target, document: dict[str, Any], namespace: str) -> str:
    name = document["metadata"]["name"]
    slices: list[dict[str, Any]] = []
    if target.resource.kind == "Service":
        selector = f"kubernetes.io/service-name={name}"
        slices = (await client.list(ENDPOINTSLICES, namespace=namespace, label_selector=selector)).items
    events = await event_rows(client, namespace, target.resource.kind, name)
    lines = describe_object(document, slices)
    if events:
        rows = table([("Type", "Reason", "Last seen", "From", "Message"), *events])
        lines += ["Events:", *(f"  {line}" for line in rows.splitlines())]
    else:
        lines.append("Events:                   <none>")
    return "\n".join(lines)
