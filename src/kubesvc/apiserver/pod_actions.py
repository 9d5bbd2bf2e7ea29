"""Subresources that act on pods: `binding` puts one on a node, `eviction` asks it to leave."""

from collections.abc import Mapping
from typing import Any

from kubesvc.aio.clock import Clock
from kubesvc.api import resources as r
from kubesvc.api.resources import Resource
from kubesvc.api.status import BadRequest
from kubesvc.api.times import time_text
from kubesvc.apiserver import refusals
from kubesvc.apiserver.answers import Reply, of_document
from kubesvc.apiserver.body import posted
from kubesvc.apiserver.documents import Document, is_terminating
from kubesvc.apiserver.objects import Objects
from kubesvc.apiserver.request import Call, Target
from kubesvc.apiserver.resources import delete_options_from

_SUCCESS: Mapping[str, Any] = {
    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
}  # fmt: skip


class PodActions:
    """POST only; both answer with a Status."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock

    async def bind(self, call: Call, resource: Resource, target: Target) -> Reply:
        """Assign the pod to the node a Binding names. Raises Conflict when it is on one or going away."""
        sent = posted(call, "core.v1.Binding")
        node = (sent.get("target") or {}).get("name", "")
        if not node:
            raise BadRequest("a binding names its node in target.name")

        def change(old: Document) -> Document:
            return _bound(old, node, time_text(self._clock.now()))

        await self._objects.update(
            r.PODS, target.namespace, target.name, change, subresource="binding", dry_run=call.dry_run
        )
        return of_document(dict(_SUCCESS), 201)

    async def evict(self, call: Call, resource: Resource, target: Target) -> Reply:
        """Delete the pod as its Eviction's delete options say; there are no disruption budgets."""
        sent = posted(call, "policy.v1.Eviction")
        options = delete_options_from(sent.get("deleteOptions") or {}, call.query)
        await self._objects.delete(r.PODS, target.namespace, target.name, options, dry_run=call.dry_run)
        return of_document(dict(_SUCCESS), 201)


def _bound(pod: Document, node: str, now: str) -> Document:
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    if is_terminating(pod):
        raise refusals.conflict(
            r.PODS, metadata["name"], f"pod {metadata['name']} is being deleted, cannot be assigned to a host"
        )
    if spec.get("nodeName"):
        why = f'pod {metadata["name"]} is already assigned to node "{spec["nodeName"]}"'
        raise refusals.conflict(r.PODS, metadata["name"], why)
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}
    conditions = [c for c in status.get("conditions") or () if c.get("type") != "PodScheduled"]
    return {
        **pod,
        "metadata": dict(metadata),
        "spec": {**spec, "nodeName": node},
        "status": {**status, "conditions": [*conditions, scheduled]},
    }
