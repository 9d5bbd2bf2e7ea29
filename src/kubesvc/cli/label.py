"""`kubesvc label`: set labels with KEY=VALUE, remove them with KEY-."""

import argparse
from typing import TYPE_CHECKING

from kubesvc.cli import exits
from kubesvc.cli.access import add_access, namespace_of
from kubesvc.cli.exits import Refusal
from kubesvc.cli.session import with_client
from kubesvc.cli.targets import Target, parse_targets

if TYPE_CHECKING:
    from kubesvc.client.rest import Client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="+", metavar="TYPE NAME KEY=VALUE|KEY-", help="such as pod web version=v2 old-")
    parser.add_argument("--overwrite", action="store_true", help="allow changing a label that has another value")
    add_access(parser)


def run(args: argparse.Namespace) -> int:
    changes = parse_changes(args.words)
    targets = parse_targets([word for word in args.words if not _is_change(word)])
    if not changes or not all(target.name for target in targets):
        raise Refusal("want TYPE NAME and at least one KEY=VALUE or KEY-", code=exits.USAGE)
    namespace = namespace_of(args)

    async def body(client: "Client") -> int:
        for target in targets:
            within = namespace if target.resource.namespaced else ""
            verb = await _label(client, target, within, changes, overwrite=args.overwrite)
            print(f"{target} {verb}", flush=True)
        return exits.SUCCESS

    return with_client(args, body)


def parse_changes(words: list[str]) -> dict[str, str | None]:
    """`a=b` sets, `a-` removes (None)."""
    changes: dict[str, str | None] = {}
    for word in filter(_is_change, words):
        key, equals, value = word.partition("=")
        changes[key if equals else word.removesuffix("-")] = value if equals else None
    return changes


def _is_change(word: str) -> bool:
    return "=" in word or word.endswith("-")


async def _label(
    client: "Client", target: Target, namespace: str, changes: dict[str, str | None], *, overwrite: bool
) -> str:
    current = (await client.get(target.resource, target.name, namespace=namespace))["metadata"].get("labels") or {}
    for key, value in changes.items():
        if value is not None and not overwrite and current.get(key, value) != value:
            raise Refusal(f"{target}: label {key!r} already has a value ({current[key]})", "add --overwrite")
    effective = {key: value for key, value in changes.items() if current.get(key) != value}
    if not effective:
        return "not labeled"
    await client.patch(target.resource, target.name, {"metadata": {"labels": effective}}, namespace=namespace)
    return "labeled" if any(value is not None for value in effective.values()) else "unlabeled"
