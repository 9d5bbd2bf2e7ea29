"""Objects as JSON documents and as stored bytes, and the metadata only a server may write."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from kubesvc.api.resources import Resource
from kubesvc.api.status import BadRequest
from kubesvc.api.times import time_text
from kubesvc.apiserver.refusals import conflict
from kubesvc.store.types import Record

Document = dict[str, Any]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Document)
_SERVER_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


def to_json(document: Any) -> bytes:
    return _encoder.encode(document)


def from_json(value: bytes) -> Document:
    return _decoder.decode(value)


def to_value(resource: Resource, document: Document) -> bytes:
    """The bytes to store: kind, version and metadata lead, without a resourceVersion (see `store.types`)."""
    metadata = {k: v for k, v in document["metadata"].items() if k != "resourceVersion"}
    rest = {k: v for k, v in document.items() if k not in ("kind", "apiVersion", "metadata")}
    head = {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": metadata}
    return _encoder.encode(head | rest)


def metadata_of(document: Document) -> Document:
    """The document's metadata, made if it has none."""
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        metadata = document["metadata"] = {}
    return metadata


def place(resource: Resource, document: Document, *, namespace: str, name: str = "") -> None:
    """Make the document's own namespace and name agree with the URL; BadRequest where they contradict it."""
    metadata = metadata_of(document)
    if resource.namespaced:
        if metadata.setdefault("namespace", namespace) not in ("", namespace):
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    if name and metadata.get("name", name) != name:
        raise BadRequest(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    if name:
        metadata["name"] = name


def born(document: Document, *, uid: str, now: datetime) -> None:
    """Give a new object what only the server may give."""
    metadata = metadata_of(document)
    if metadata.get("resourceVersion"):
        raise BadRequest("resourceVersion should not be set on objects to be created")
    for field in (*_SERVER_FIELDS, "resourceVersion", "selfLink"):
        metadata.pop(field, None)
    metadata["uid"] = uid
    metadata["creationTimestamp"] = time_text(now)


def inherit(resource: Resource, document: Document, old: Document) -> None:
    """Keep on an update what is not the client's to change; Conflict where it expected another object or state."""
    metadata, before = metadata_of(document), old["metadata"]
    name = before["name"]
    for field, label in (("uid", "UID"),):
        sent = metadata.get(field)
        if sent and sent != before[field]:
            why = f"Precondition failed: {label} in precondition: {sent}, {label} in object meta: {before[field]}"
            raise conflict(resource, name, why)
    sent_revision = metadata.get("resourceVersion")
    if sent_revision and sent_revision != before["resourceVersion"]:
        raise conflict(resource, name)
    for field in _SERVER_FIELDS:
        if field in before:
            metadata[field] = before[field]
        else:
            metadata.pop(field, None)
    metadata["resourceVersion"] = before["resourceVersion"]
    metadata.pop("selfLink", None)
    metadata["name"] = name


def check_preconditions(resource: Resource, old: Document, preconditions: Mapping[str, Any] | None) -> None:
    """A delete's `preconditions`: Conflict unless the object has that uid and resourceVersion."""
    metadata = old["metadata"]
    for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        wanted = (preconditions or {}).get(field)
        if wanted and wanted != metadata[field]:
            why = f"Precondition failed: {label} in precondition: {wanted}, {label} in object meta: {metadata[field]}"
            raise conflict(resource, metadata["name"], why)


def is_held(document: Document) -> bool:
    """Whether finalizers keep the object from going."""
    return bool(document["metadata"].get("finalizers"))


def is_terminating(document: Document) -> bool:
    return bool(document["metadata"].get("deletionTimestamp"))


def from_record(record: Record) -> Document:
    return from_json(record.value)
