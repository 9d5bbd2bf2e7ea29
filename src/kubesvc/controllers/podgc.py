"""Pods nobody will ever end: of nodes that are gone, or deleted before they had a node."""

from kubesvc.api.resources import PODS
from kubesvc.api.views import Pod
from kubesvc.controllers.changes import Change, Delete, Patch
from kubesvc.controllers.meta import key_of
from kubesvc.controllers.pods import is_over


def reconcile(pod: Pod, *, node_exists: bool) -> list[Change]:
    """`node_exists` must have been asked of the API itself: a late cache is no reason to delete a pod."""
    force = Delete(PODS, key_of(pod.metadata), pod.metadata.uid, grace_seconds=0)
    if not pod.spec.node_name:
        return [force] if pod.metadata.deletion_timestamp is not None else []
    if node_exists:
        return []
    if is_over(pod):
        return [force]
    # A pod is marked as failed first, so that whoever watches it learns how it ended.
    message = "PodGC: node no longer exists"
    patch = {"status": {"phase": "Failed", "reason": "NodeLost", "message": message}}
    return [Patch(PODS, key_of(pod.metadata), patch, subresource="status"), force]
