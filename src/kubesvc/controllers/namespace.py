"""The namespace controller: empties a terminating namespace, then lets it go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kubesvc.api.resources import EVENTS, NAMESPACES, PODS, Key, Resource
from kubesvc.api.times import time_text
from kubesvc.api.views import Namespace, ObjectMeta
from kubesvc.controllers.changes import Change, Create, Delete, Document, Later, Patch, Update
from kubesvc.controllers.garbage import Member
from kubesvc.controllers.meta import key_of

FINALIZER = "kubernetes"
_RECHECK_S = 5.0


@dataclass(frozen=True, slots=True)
class Inputs:
    """`contents`: what is still in the namespace, Events aside; `document` is the Namespace in full."""

    namespace: Namespace
    document: Document
    contents: Sequence[Member]
    events: Sequence[ObjectMeta] = ()


def is_terminating(namespace: Namespace) -> bool:
    return namespace.metadata.deletion_timestamp is not None and FINALIZER in (namespace.spec.finalizers or ())


def reconcile(inputs: Inputs, *, now: datetime) -> list[Change]:
    if not is_terminating(inputs.namespace):
        return []
    if inputs.contents:
        deletes = [_delete(member) for member in sorted(inputs.contents, key=_order) if _is_untouched(member)]
        # Most leave within milliseconds and their events bring the key back; pods with a grace period take longer.
        return [*deletes, *_conditions(inputs, now), Later(_RECHECK_S)]
    goodbye = [Delete(EVENTS, key_of(meta), meta.uid) for meta in inputs.events]
    kept = [name for name in inputs.namespace.spec.finalizers or () if name != FINALIZER]
    document = {**inputs.document, "spec": {**inputs.document.get("spec", {}), "finalizers": kept}}
    return [*goodbye, Update(NAMESPACES, document, subresource="finalize")]


def _order(member: Member) -> tuple[bool, str]:
    """Pods last: what would make new ones is gone by then."""
    return member.resource is PODS, member.resource.plural


def _is_untouched(member: Member) -> bool:
    return member.meta.deletion_timestamp is None


def _delete(member: Member) -> Delete:
    return Delete(member.resource, member.key, member.meta.uid, propagation="Background")


def _conditions(inputs: Inputs, now: datetime) -> list[Change]:
    """Say what is awaited, as `kubectl describe namespace` shows it; written once per reason."""
    finalizers = sorted({name for member in inputs.contents for name in member.meta.finalizers or ()})
    new = [_condition("NamespaceContentRemaining", "SomeResourcesRemain", _remaining(inputs.contents), now)]
    if finalizers:
        message = f"Some content in the namespace has finalizers remaining: {', '.join(finalizers)}"
        new.append(_condition("NamespaceFinalizersRemaining", "SomeFinalizersRemain", message, now))
    old = inputs.document.get("status", {}).get("conditions") or []
    known = {(condition["type"], condition.get("reason")) for condition in old}
    if {(condition["type"], condition["reason"]) for condition in new} <= known:
        return []
    kept = [condition for condition in old if condition["type"] not in {c["type"] for c in new}]
    patch = {"status": {"conditions": kept + new}}
    return [Patch(NAMESPACES, key_of(inputs.namespace.metadata), patch, subresource="status")]


def _remaining(contents: Sequence[Member]) -> str:
    counts: dict[Resource, int] = {}
    for member in contents:
        counts[member.resource] = counts.get(member.resource, 0) + 1
    parts = ", ".join(
        f"{resource.plural}.{resource.group} has {count} resource instances"
        for resource, count in sorted(counts.items(), key=lambda item: item[0].plural)
    )
    return f"Some resources are remaining: {parts}"


def _condition(type_: str, reason: str, message: str, now: datetime) -> Document:
    return {"type": type_, "status": "True", "reason": reason, "message": message, "lastTransitionTime": time_text(now)}


# What every namespace has from the start

ROOT_CA_CONFIGMAP = "kube-root-ca.crt"
DEFAULT_ACCOUNT = "default"


def missing_account(namespace: Namespace, *, exists: bool, resource: Resource) -> list[Change]:
    """The ServiceAccount `default` that pods run as unless they say otherwise."""
    if exists or namespace.metadata.deletion_timestamp is not None:
        return []
    metadata = {"name": DEFAULT_ACCOUNT, "namespace": namespace.metadata.name}
    return [Create(resource, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})]


def missing_root_ca(namespace: Namespace, found: dict[str, str] | None, ca: str, resource: Resource) -> list[Change]:
    """The ConfigMap by which pods trust the API server; `found` is its data, None when it does not exist."""
    if namespace.metadata.deletion_timestamp is not None:
        return []
    data = {"ca.crt": ca}
    key = Key(namespace.metadata.name, ROOT_CA_CONFIGMAP)
    if found is None:
        metadata = {
            "name": key.name,
            "namespace": key.namespace,
            "annotations": {
                "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when "
                "using internal endpoints such as the internal service IP or kubernetes.default.svc. No other "
                "usage is guaranteed across distributions of Kubernetes clusters."
            },
        }
        return [Create(resource, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})]
    return [] if found == data else [Patch(resource, key, {"data": data})]
