"""`kubesvc dns query NAME [TYPE]`: what a pod would be told, from the live objects."""

import argparse
import asyncio
import json
import sys

from kubesvc.api.resources import ENDPOINTSLICES, NAMESPACES, SERVICES
from kubesvc.client.rest import Client
from kubesvc.dns import objects, parse, rows, wire
from kubesvc.dns.explain import Explanation, explain, explanation_lines
from kubesvc.dns.records import record_text
from kubesvc.dns.view import Policy, View
from kubesvc.dns.wire import BadName

_FOUND, _NOTHING, _USAGE = 0, 1, 2


async def run(args: argparse.Namespace, client: Client) -> int:
    """Print the answer; 0 when there are records, 1 when there are none, 2 for a name or type that is none."""
    try:
        qtype = wire.type_code(args.type)
        wire.name_from_text(args.name)
        explanation = explain(await load_view(client, args.domain), args.name, qtype, args.from_namespace)
    except BadName as err:
        print(f"error: {err}", file=sys.stderr)
        return _USAGE
    print(_as_json(explanation) if args.output == "json" else "\n".join(explanation_lines(explanation)))
    return _FOUND if explanation.records else _NOTHING


async def load_view(client: Client, domain: str) -> View:
    """The cluster as it is now; an object that cannot be named is passed over."""
    view = View(Policy(domain=domain))
    services, slices, namespaces = await asyncio.gather(
        client.list(SERVICES, view=objects.Service),
        client.list(ENDPOINTSLICES, view=objects.EndpointSlice, label_selector=rows.SERVICE_NAME_LABEL),
        client.list(NAMESPACES, view=objects.Namespace),
    )
    for namespace in namespaces.items:
        view.apply(rows.NamespaceRow(namespace.metadata.name))
    for service in services.items:
        try:
            view.apply(parse.service_row(service))
        except ValueError as err:
            print(f"warning: service {service.metadata.namespace}/{service.metadata.name}: {err}", file=sys.stderr)
    for slice_ in slices.items:
        try:
            row = parse.slice_row(slice_)
        except ValueError as err:
            print(f"warning: endpointslice {slice_.metadata.namespace}/{slice_.metadata.name}: {err}", file=sys.stderr)
            continue
        if row is not None:
            view.apply(row)
    return view


def _as_json(explanation: Explanation) -> str:
    steps = [
        {
            "name": step.name,
            "outcome": step.outcome,
            "records": [{"record": record_text(record), "source": record.source} for record in step.records],
        }
        for step in explanation.steps
    ]
    return json.dumps({"steps": steps}, indent=2)
