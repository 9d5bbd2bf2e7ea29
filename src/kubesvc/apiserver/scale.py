"""The `scale` subresource of Deployments and ReplicaSets: `autoscaling/v1` Scale, a view of `spec.replicas`."""

from collections.abc import Callable, Mapping
from typing import Any

from kubesvc.api.resources import Resource
from kubesvc.api.selectors import label_selector_from
from kubesvc.api.status import BadRequest, Cause, Invalid
from kubesvc.apiserver import refusals
from kubesvc.apiserver.answers import Reply, of_document
from kubesvc.apiserver.body import decode
from kubesvc.apiserver.documents import Document, from_json
from kubesvc.apiserver.objects import Objects
from kubesvc.apiserver.patching import decode_patch, patcher
from kubesvc.apiserver.reading import get
from kubesvc.apiserver.request import Call, Target

SCALE_TYPE = "autoscaling.v1.Scale"
_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


class ScaleApi:
    """Reads and writes the number of replicas of an object without knowing the rest of it."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def handle(self, call: Call, resource: Resource, target: Target) -> Reply:
        """GET, PUT and PATCH."""
        if call.verb == "get":
            stored = get(self._objects.backend, call, resource, target)
            return of_document(scale_of(from_json(stored)))
        if call.verb not in ("update", "patch"):
            raise refusals.method_not_allowed()
        result = await self._objects.update(
            resource, target.namespace, target.name, _change(call), dry_run=call.dry_run
        )
        return of_document(scale_of(from_json(result.value)))


def scale_of(document: Document) -> Document:
    """The Scale of a Deployment or ReplicaSet."""
    spec, status = document.get("spec") or {}, document.get("status") or {}
    shown: Document = {"replicas": status.get("replicas", 0)}
    selector = str(label_selector_from(spec.get("selector")))
    if selector:
        shown["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: document["metadata"][field] for field in _KEPT if field in document["metadata"]},
        "spec": {"replicas": spec.get("replicas", 1)},
        "status": shown,
    }


def _change(call: Call) -> Callable[[Document], Document]:
    """What the request makes of the parent: its replicas, and the state it expects."""
    content_type = call.headers.get("Content-Type", "")
    if call.verb == "patch":
        apply, patch = patcher(content_type, SCALE_TYPE), decode_patch(call.body)
        return lambda old: _scaled(old, apply(scale_of(old), patch))
    sent = decode(call.body, content_type, SCALE_TYPE)
    return lambda old: _scaled(old, sent)


def _scaled(old: Document, scale: Any) -> Document:
    if not isinstance(scale, Mapping):
        raise BadRequest("a Scale is expected")
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise BadRequest(f'Scale in version "autoscaling/v1" cannot be handled as a Scale: replicas is {replicas!r}')
    name = old["metadata"]["name"]
    if replicas < 0:
        problem = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise Invalid(
            f'Scale.autoscaling "{name}" is invalid: spec.replicas: {problem}', kind="Scale", group="autoscaling",
            name=name, causes=(Cause("FieldValueInvalid", "spec.replicas", problem),),
        )  # fmt: skip
    metadata = {**old["metadata"]}
    sent = scale.get("metadata") or {}
    for field in ("resourceVersion", "uid"):
        if sent.get(field):
            metadata[field] = sent[field]
    return {**old, "metadata": metadata, "spec": {**old["spec"], "replicas": replicas}}
