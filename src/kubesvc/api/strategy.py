"""What the API server does to an object before it validates it: the fields that are not the client's to set.

`metadata.generation` counts changes of what the client wants; the status belongs to the
controllers, which write it through the status subresource only.
"""

from typing import Any

from kubesvc.api import resources as r
from kubesvc.api.qos import qos_class
from kubesvc.api.service_strategy import prepare_service_create, prepare_service_update

Document = dict[str, Any]

_GENERATED = frozenset({r.DEPLOYMENTS, r.REPLICASETS, r.PODS, r.ENDPOINTSLICES})
_KEEPS_STATUS_ON_CREATE = frozenset({r.NODES})
_SYSTEM_METADATA = ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
NAMESPACE_FINALIZER = "kubernetes"


def has_status(resource: r.Resource) -> bool:
    return "status" in resource.subresources


def prepare_create(resource: r.Resource, obj: Document) -> None:
    """Clear what no client sets (status, deletion, generation) and set what each new object starts with; in place."""
    metadata = obj.setdefault("metadata", {})
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
        metadata.pop(field, None)
    if resource in _GENERATED:
        metadata["generation"] = 1
    if resource is r.SERVICES:
        prepare_service_create(obj)
    elif has_status(resource) and resource not in _KEEPS_STATUS_ON_CREATE:
        obj["status"] = _first_status(resource, obj)
    if resource is r.NAMESPACES:
        finalizers = obj.setdefault("spec", {}).get("finalizers") or []
        if NAMESPACE_FINALIZER not in finalizers:
            obj["spec"]["finalizers"] = [*finalizers, NAMESPACE_FINALIZER]


def _first_status(resource: r.Resource, obj: Document) -> Document:
    if resource is r.PODS:
        return {"phase": "Pending", "qosClass": qos_class(obj.get("spec") or {})}
    if resource is r.NAMESPACES:
        return {"phase": "Active"}
    return {"replicas": 0} if resource is r.REPLICASETS else {}


def prepare_update(resource: r.Resource, new: Document, old: Document) -> None:
    """For a write to the object itself: the old status stays, the generation counts a changed wish; in place."""
    _keep_system_metadata(new, old)
    if resource is r.SERVICES:
        prepare_service_update(new, old)
    elif has_status(resource):
        _keep(new, old, "status")
    if resource is r.NAMESPACES:
        _keep_finalizers(new, old)
    _count_generation(resource, new, old)


def prepare_status_update(resource: r.Resource, new: Document, old: Document) -> None:
    """For a write to `/status`: everything but the status (and, where upstream allows it, metadata) stays; in place."""
    _keep_system_metadata(new, old)
    _keep(new, old, "spec")
    metadata, before = new["metadata"], old["metadata"]
    if resource is r.PODS:
        _keep(metadata, before, "ownerReferences")
        qos = (old.get("status") or {}).get("qosClass")
        if qos:
            new.setdefault("status", {}).setdefault("qosClass", qos)
    if resource in (r.DEPLOYMENTS, r.REPLICASETS):
        _keep(metadata, before, "labels")
    if "generation" in before:
        metadata["generation"] = before["generation"]


def prepare_finalize(new: Document, old: Document) -> None:
    """For a write to a namespace's `/finalize`: only `spec.finalizers` may change; in place."""
    finalizers = (new.get("spec") or {}).get("finalizers")
    _keep_system_metadata(new, old)
    _keep(new, old, "status")
    new["spec"] = {"finalizers": finalizers} if finalizers else {}


def _keep_system_metadata(new: Document, old: Document) -> None:
    metadata, before = new["metadata"], old["metadata"]
    for field in _SYSTEM_METADATA:
        _keep(metadata, before, field)
    if not metadata.get("uid"):
        _keep(metadata, before, "uid")
    metadata.pop("selfLink", None)


def _keep_finalizers(new: Document, old: Document) -> None:
    spec = new.setdefault("spec", {})
    _keep(spec, old.get("spec") or {}, "finalizers")


def _keep(new: Document, old: Document, field: str) -> None:
    if old.get(field) is not None:
        new[field] = old[field]
    else:
        new.pop(field, None)


def _count_generation(resource: r.Resource, new: Document, old: Document) -> None:
    generation = old["metadata"].get("generation") or 0
    if resource in _GENERATED and _wish(resource, new) != _wish(resource, old):
        generation += 1
    if generation:
        new["metadata"]["generation"] = generation
    else:
        new["metadata"].pop("generation", None)


def _wish(resource: r.Resource, obj: Document) -> tuple[object, ...]:
    """What the client wants of the object, as far as its generation counts it."""
    metadata = obj["metadata"]
    if resource is r.ENDPOINTSLICES:
        return (obj.get("addressType"), obj.get("endpoints"), obj.get("ports"), metadata.get("labels") or {})
    if resource is r.DEPLOYMENTS:
        return (obj.get("spec"), metadata.get("annotations") or {})
    return (obj.get("spec"),)
