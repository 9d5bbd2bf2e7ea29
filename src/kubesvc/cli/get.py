"""`kubesvc get`: objects as the server's own tables, or as JSON, YAML or names."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from kubesvc.api.resources import EVENTS, Resource
from kubesvc.cli import exits
from kubesvc.cli.access import add_access, namespace_of
from kubesvc.cli.output import say, table
from kubesvc.cli.session import with_client
from kubesvc.cli.targets import Target, parse_targets

if TYPE_CHECKING:
    from kubesvc.client.rest import Client

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="+", metavar="TYPE[/NAME]", help="such as pods, svc/web, ep,endpointslices, all")
    parser.add_argument("-o", "--output", choices=("wide", "json", "yaml", "name"), default="", help="the form")
    parser.add_argument("-l", "--selector", default="", help="labels to match, such as zone=prod,version=v1")
    parser.add_argument("--field-selector", default="", help="fields to match, such as status.phase=Running")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="of every namespace")
    parser.add_argument("-w", "--watch", action="store_true", help="go on with every change")
    parser.add_argument("--show-labels", action="store_true", help="a last column with the labels")
    parser.add_argument("--no-headers", action="store_true", help="no line of column names")
    add_access(parser)


def run(args: argparse.Namespace) -> int:
    targets = parse_targets(args.what)
    namespace = "" if args.all_namespaces else namespace_of(args)

    async def body(client: "Client") -> int:
        if args.output in ("json", "yaml", "name"):
            return await _documents(client, args, targets, namespace)
        return await _tables(client, args, targets, namespace)

    return with_client(args, body)


async def _documents(client: "Client", args: argparse.Namespace, targets: list[Target], namespace: str) -> int:
    items: list[dict[str, Any]] = []
    for target in targets:
        if target.name:
            items.append(await client.get(target.resource, target.name, namespace=_within(target.resource, namespace)))
            continue
        listing = await client.list(
            target.resource,
            namespace=_within(target.resource, namespace),
            label_selector=args.selector,
            field_selector=args.field_selector,
        )
        identity = {"apiVersion": target.resource.group_version, "kind": target.resource.kind}
        items += [identity | item for item in listing.items]
    if args.output == "name":
        sys.stdout.writelines(f"{_name(item)}\n" for item in items)
    else:
        single = len(targets) == 1 and bool(targets[0].name)
        _print(items[0] if single else {"apiVersion": "v1", "kind": "List", "items": items}, args.output)
    return exits.SUCCESS


def _print(document: dict[str, Any], form: str) -> None:
    if form == "json":
        print(json.dumps(document, indent=4))
        return
    import yaml

    yaml.safe_dump(document, sys.stdout, sort_keys=False)


def _name(item: dict[str, Any]) -> str:
    from kubesvc.api.resources import BY_KIND

    return str(Target(BY_KIND[item["apiVersion"], item["kind"]], item["metadata"]["name"]))


async def _tables(client: "Client", args: argparse.Namespace, targets: list[Target], namespace: str) -> int:
    found = 0
    for number, target in enumerate(targets):
        document = await fetch_table(client, target, namespace, args.selector, args.field_selector)
        rows = document.get("rows") or []
        if rows or args.watch:
            if found and number:
                print()
            _print_table(document, args, prefixed=len({t.resource for t in targets}) > 1, resource=target.resource)
        found += len(rows)
        if args.watch:
            return await _watch(client, args, target, namespace, document)
    if not found:
        where = f" in {namespace} namespace" if namespace and targets[0].resource.namespaced else ""
        say(f"No resources found{where}.")
    return exits.SUCCESS


async def fetch_table(
    client: "Client", target: Target, namespace: str, selector: str = "", field_selector: str = ""
) -> dict[str, Any]:
    """The server's Table of one object or of a list."""
    from kubesvc.client.rest import selector_query

    path = target.resource.path(_within(target.resource, namespace), target.name or None)
    query = {} if target.name else selector_query(selector, field_selector)
    query["includeObject"] = "Metadata"
    document: dict[str, Any] = json.loads(await client.call("GET", path, query=query, accept=_TABLE))
    return document


def _print_table(document: dict[str, Any], args: argparse.Namespace, *, prefixed: bool, resource: Resource) -> None:
    columns = document["columnDefinitions"]
    shown = [i for i, column in enumerate(columns) if column.get("priority", 0) == 0 or args.output == "wide"]
    namespaced = args.all_namespaces and resource.namespaced
    header = [columns[i]["name"].upper() for i in shown]
    rows = [] if args.no_headers else [_framed(header, "NAMESPACE", "LABELS", namespaced, args.show_labels)]
    for row in document.get("rows") or ():
        cells = [_cell(row["cells"][i]) for i in shown]
        metadata = (row.get("object") or {}).get("metadata") or {}
        if prefixed:
            cells[0] = str(Target(resource, cells[0]))
        labels = ",".join(f"{key}={value}" for key, value in sorted((metadata.get("labels") or {}).items()))
        rows.append(_framed(cells, metadata.get("namespace", ""), labels or "<none>", namespaced, args.show_labels))
    if rows:
        print(table(rows), flush=True)


def _framed(cells: list[str], namespace: str, labels: str, namespaced: bool, with_labels: bool) -> list[str]:
    return [*([namespace] if namespaced else []), *cells, *([labels] if with_labels else [])]


async def _watch(
    client: "Client", args: argparse.Namespace, target: Target, namespace: str, first: dict[str, Any]
) -> int:
    """Print the table row of each object as it changes, until interrupted."""
    args.no_headers = True
    selector = f"metadata.name={target.name}" if target.name else args.field_selector
    async with client.watch(
        target.resource,
        namespace=_within(target.resource, namespace),
        resource_version=(first.get("metadata") or {}).get("resourceVersion", ""),
        label_selector=args.selector,
        field_selector=selector,
    ) as events:
        async for event in events:
            metadata = json.loads(bytes(event.object)).get("metadata") or {}
            if event.type == "BOOKMARK":
                continue
            if event.type == "DELETED":
                print(f"{metadata.get('name')}   deleted", flush=True)
                continue
            one = Target(target.resource, metadata["name"])
            document = await fetch_table(client, one, metadata.get("namespace", ""))
            _print_table(document, args, prefixed=False, resource=target.resource)
    return exits.SUCCESS


def _within(resource: Resource, namespace: str) -> str:
    return namespace if resource.namespaced else ""


def _cell(value: Any) -> str:
    return "<none>" if value is None or value == "" else str(value)


async def event_rows(client: "Client", namespace: str, kind: str, name: str) -> list[tuple[str, ...]]:
    """The events about one object, as `describe` shows them."""
    selector = f"involvedObject.kind={kind},involvedObject.name={name}"
    listing = await client.list(EVENTS, namespace=namespace, field_selector=selector)
    return [
        (
            str(event.get("type", "")),
            str(event.get("reason", "")),
            str(event.get("lastTimestamp") or event.get("eventTime") or ""),
            str((event.get("source") or {}).get("component") or event.get("reportingComponent") or ""),
            str(event.get("message", "")),
        )
        for event in listing.items
    ]
