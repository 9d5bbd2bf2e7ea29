"""`kubesvc apply -f`: create what is missing, change what differs, as `kubectl apply` does."""

import argparse
import copy
import json
from typing import TYPE_CHECKING

from kubesvc.api.resources import Resource
from kubesvc.api.status import NotFound
from kubesvc.cli import exits
from kubesvc.cli.access import add_access, namespace_of
from kubesvc.cli.apply_patch import LAST_APPLIED, three_way_patch
from kubesvc.cli.manifests import Document, read_manifests
from kubesvc.cli.session import with_client
from kubesvc.cli.targets import Target

if TYPE_CHECKING:
    from kubesvc.client.rest import Client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f", "--filename", action="append", required=True, metavar="FILE", help="a file, a folder, or - for stdin"
    )
    add_access(parser)


def run(args: argparse.Namespace) -> int:
    objects = read_manifests(args.filename)
    namespace = namespace_of(args)

    async def body(client: "Client") -> int:
        for resource, document in objects:
            verb = await apply_document(client, resource, document, namespace)
            print(f"{Target(resource, document['metadata']['name'])} {verb}", flush=True)
        return exits.SUCCESS

    return with_client(args, body)


async def apply_document(client: "Client", resource: Resource, document: Document, namespace: str) -> str:
    """Make the server's object agree with the manifest; returns `created`, `configured` or `unchanged`."""
    wanted = copy.deepcopy(document)
    metadata = wanted["metadata"]
    if resource.namespaced:
        metadata.setdefault("namespace", namespace)
    within = metadata.get("namespace", "")
    (metadata.get("annotations") or {}).pop(LAST_APPLIED, None)
    applied = json.dumps(wanted, separators=(",", ":")) + "\n"
    metadata["annotations"] = {**(metadata.get("annotations") or {}), LAST_APPLIED: applied}
    try:
        current = await client.get(resource, metadata["name"], namespace=within)
    except NotFound:
        await client.create(resource, wanted, strict=True)
        return "created"
    patch = three_way_patch(current, wanted)
    if not patch:
        return "unchanged"
    name = metadata["name"]
    changed = await client.patch(resource, name, patch, namespace=within, kind="strategic", strict=True)
    same = changed["metadata"].get("resourceVersion") == current["metadata"].get("resourceVersion")
    return "unchanged" if same else "configured"
