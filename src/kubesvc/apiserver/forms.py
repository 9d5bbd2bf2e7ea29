"""Stored objects in the form a client asked for: as they are, as rows of a Table, or their metadata alone."""

from collections.abc import Sequence
from datetime import datetime

from kubesvc.api.resources import Resource
from kubesvc.api.status import BadRequest
from kubesvc.apiserver.answers import JSON, Answer
from kubesvc.apiserver.documents import Document, from_json, to_json
from kubesvc.apiserver.negotiation import Form, Format
from kubesvc.apiserver.printers import table
from kubesvc.apiserver.reading import Listing

_YAML = "application/yaml"
_INCLUDE = ("", "None", "Metadata", "Object")


def include_object(value: str) -> str:
    """The `includeObject` parameter of tables; BadRequest for an unknown one."""
    if value not in _INCLUDE:
        raise BadRequest(f'unrecognized includeObject value: "{value}"')
    return value or "Metadata"


def object_answer(resource: Resource, value: bytes, wanted: Format, *, now: datetime, include: str = "") -> Answer:
    """One object in the wanted form."""
    if wanted.form is Form.OBJECT and wanted.encoding == "json":
        return Answer(value)
    document = from_json(value)
    if wanted.form is Form.TABLE:
        metadata = {"resourceVersion": document["metadata"].get("resourceVersion", "")}
        document = _table(resource, [document], metadata, wanted, now=now, include=include)
    elif wanted.form is not Form.OBJECT:
        document = _partial(document, wanted)
    return _encoded(document, wanted)


def list_answer(resource: Resource, listing: Listing, wanted: Format, *, now: datetime, include: str = "") -> Answer:
    """A page of a collection in the wanted form."""
    if wanted.form is Form.OBJECT and wanted.encoding == "json":
        return Answer(listing.body(resource))
    documents = [from_json(value) for value in listing.values]
    metadata = listing.metadata()
    if wanted.form is Form.TABLE:
        return _encoded(_table(resource, documents, metadata, wanted, now=now, include=include), wanted)
    if wanted.form is Form.OBJECT:
        whole = {"kind": f"{resource.kind}List", "apiVersion": resource.group_version}
    else:
        documents = [_partial(document, wanted) for document in documents]
        whole = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{wanted.version}"}
    return _encoded({**whole, "metadata": metadata, "items": documents}, wanted)


def event_line(
    resource: Resource, kind: str, value: bytes, wanted: Format, *, now: datetime, include: str, headers: bool
) -> bytes:
    """The line of a watch event in the wanted form; only the first table of a stream carries column headers."""
    document = from_json(value)
    if wanted.form is Form.TABLE:
        metadata = {"resourceVersion": document["metadata"].get("resourceVersion", "")}
        shown = _table(resource, [document], metadata, wanted, now=now, include=include)
        if not headers:
            shown["columnDefinitions"] = None
    else:
        shown = _partial(document, wanted)
    return to_json({"type": kind, "object": shown}) + b"\n"


def _table(
    resource: Resource,
    documents: Sequence[Document],
    metadata: Document,
    wanted: Format,
    *,
    now: datetime,
    include: str,
) -> Document:
    shown = table(resource, documents, now, include_object="None")
    for row, document in zip(shown["rows"], documents, strict=True):
        if include == "Object":
            row["object"] = document
        elif include != "None":
            row["object"] = _partial(document, wanted)
    return {**shown, "apiVersion": f"meta.k8s.io/{wanted.version}", "metadata": metadata}


def _partial(document: Document, wanted: Format) -> Document:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{wanted.version}",
        "metadata": document["metadata"],
    }


def _encoded(document: Document, wanted: Format) -> Answer:
    if wanted.encoding == "yaml":
        import yaml

        return Answer(yaml.safe_dump(document, sort_keys=False).encode(), content_type=_YAML)
    content_type = JSON
    if wanted.form is not Form.OBJECT:
        content_type = f"{JSON};as={wanted.form};v={wanted.version};g=meta.k8s.io"
    return Answer(to_json(document) + b"\n", content_type=content_type)
