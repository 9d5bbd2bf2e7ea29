"""Ownership, references and times of objects, as all controllers read and write them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from kubesvc.api.resources import Key, Resource
from kubesvc.api.views import ObjectMeta, ObjectReference, OwnerReference
from kubesvc.controllers.changes import Document

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


def key_of(meta: ObjectMeta) -> Key:
    return Key(meta.namespace, meta.name)


def reference(resource: Resource, meta: ObjectMeta) -> ObjectReference:
    """How Events and bindings name an object."""
    return ObjectReference(
        kind=resource.kind,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        api_version=resource.group_version,
        resource_version=meta.resource_version,
    )


def plain(value: Any) -> Any:
    """Views as the JSON values they stand for: dicts, lists, strings, numbers."""
    return msgspec.json.decode(msgspec.json.encode(value))


def controller_of(meta: ObjectMeta) -> OwnerReference | None:
    """The owner that manages the object; at most one reference has `controller: true`."""
    for owner in meta.owner_references or ():
        if owner.controller:
            return owner
    return None


def is_controlled_by(meta: ObjectMeta, uid: str) -> bool:
    owner = controller_of(meta)
    return owner is not None and owner.uid == uid


def controller_reference(resource: Resource, meta: ObjectMeta) -> OwnerReference:
    """The reference by which the object of `resource` and `meta` owns what it makes."""
    return OwnerReference(
        api_version=resource.group_version,
        kind=resource.kind,
        name=meta.name,
        uid=meta.uid,
        controller=True,
        block_owner_deletion=True,
    )


def owner_document(owner: OwnerReference) -> Document:
    document: Document = {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
    }
    if owner.controller is not None:
        document["controller"] = owner.controller
    if owner.block_owner_deletion is not None:
        document["blockOwnerDeletion"] = owner.block_owner_deletion
    return document


def owners_patch(meta: ObjectMeta, owners: Iterable[OwnerReference]) -> Document:
    """A merge patch that sets the owners of exactly this revision of the object."""
    return {
        "metadata": {
            "uid": meta.uid,
            "resourceVersion": meta.resource_version,
            "ownerReferences": [owner_document(owner) for owner in owners] or None,
        }
    }


def finalizers_patch(meta: ObjectMeta, finalizers: Iterable[str]) -> Document:
    """A merge patch that sets the finalizers of exactly this revision of the object."""
    return {
        "metadata": {
            "uid": meta.uid,
            "resourceVersion": meta.resource_version,
            "finalizers": list(finalizers) or None,
        }
    }


def nulled(status: msgspec.Struct) -> Document:
    """A status for a merge patch: fields at their zero value are null, so that an old value goes away."""
    given: Document = plain(status)
    names = (field.encode_name for field in msgspec.structs.fields(status))
    return {name: given.get(name) for name in names}
