"""Manifests as people give them: files, folders, standard input; YAML or JSON; several documents, `List`s."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubesvc.api.resources import BY_KIND, Resource
from kubesvc.cli.exits import Refusal

Document = dict[str, Any]
_SUFFIXES = (".yaml", ".yml", ".json")


def read_manifests(sources: list[str]) -> list[tuple[Resource, Document]]:
    """All objects of the sources in order, each with its resource. Raises Refusal naming the source."""
    return [
        (resource_of(document, source), document)
        for source in sources
        for text, source in _texts(source)
        for document in parse_documents(text, source)
    ]


def parse_documents(text: str, source: str) -> Iterator[Document]:
    """The objects in a text; `List`s are opened, empty documents skipped."""
    import yaml

    try:
        documents = list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as err:
        raise Refusal(f"{source}: not valid YAML: {err}") from err
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise Refusal(f"{source}: want an object with apiVersion and kind, found a {type(document).__name__}")
        if document.get("kind") == "List":
            yield from document.get("items") or ()
        else:
            yield document


def resource_of(document: Document, source: str) -> Resource:
    """The resource of an object. Raises Refusal for kinds that kubesvc does not serve."""
    version, kind = document.get("apiVersion"), document.get("kind")
    if not version or not kind:
        raise Refusal(f"{source}: an object lacks {'apiVersion' if not version else 'kind'}")
    resource = BY_KIND.get((version, kind))
    if resource is None:
        raise Refusal(
            f"{source}: no matches for kind {kind!r} in version {version!r}", "kubesvc serves core/v1, apps/v1"
        )
    if not (document.get("metadata") or {}).get("name") and not (document.get("metadata") or {}).get("generateName"):
        raise Refusal(f"{source}: a {kind} lacks metadata.name")
    return resource


def _texts(source: str) -> Iterator[tuple[str, str]]:
    if source == "-":
        yield sys.stdin.read(), "standard input"
        return
    path = Path(source)
    try:
        files = sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES) if path.is_dir() else [path]
        for file in files:
            yield file.read_text(), str(file)
    except OSError as err:
        raise Refusal(f"{source}: {err.strerror}") from err
