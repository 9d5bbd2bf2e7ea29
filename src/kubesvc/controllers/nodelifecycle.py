"""The node lifecycle controller: a node that falls silent becomes Unknown, tainted, and loses its pods.

The kubelet renews its Lease every few seconds; how long it has been silent is measured on this
process's own clock from when a renewal was seen, so that clocks of other machines do not matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from kubesvc.api.resources import NODES, PODS
from kubesvc.api.times import parse_time, time_text
from kubesvc.api.views import Node, NodeCondition, Pod, PodCondition, Taint, Toleration
from kubesvc.controllers.changes import Change, Delete, Document, Later, Note, Patch, Tell
from kubesvc.controllers.meta import key_of, plain, reference
from kubesvc.controllers.pods import is_over, is_ready

GRACE_S = 50.0
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
# What the admission plugin DefaultTolerationSeconds gives pods that say nothing of these two taints.
DEFAULT_TOLERATION_S = 300
_OWN = (NOT_READY, UNREACHABLE, UNSCHEDULABLE)
_NOT_ALIVE = ("False", "Unknown")
_WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True, slots=True)
class Inputs:
    """`silent_for`: seconds since the node's last heartbeat was seen; `pods`: those on the node."""

    node: Node
    silent_for: float
    pods: Sequence[Pod]


def reconcile(inputs: Inputs, *, now: datetime) -> list[Change]:
    node = inputs.node
    if node.metadata.deletion_timestamp is not None:
        return []
    changes: list[Change] = []
    if inputs.silent_for >= GRACE_S:
        unknown = _all_unknown(node, now)
        if unknown is not None:
            # Taints follow when the new condition comes back through the cache.
            return [_status_patch(node, unknown), _told(node)]
    else:
        changes.append(Later(GRACE_S - inputs.silent_for))
    ready = ready_status(node)
    changes += _taint_changes(node, ready, now)
    if ready in _NOT_ALIVE:
        changes += [change for pod in inputs.pods for change in _mark_not_ready(pod, now)]
    return changes + _evictions(node, inputs.pods, now)


def ready_status(node: Node) -> str:
    """`True`, `False` or `Unknown`; "" for a node that has not said anything yet."""
    return next((c.status for c in node.status.conditions or () if c.type == "Ready"), "")


def _all_unknown(node: Node, now: datetime) -> list[NodeCondition] | None:
    """The conditions with all that the kubelet watches Unknown, or None when they are already."""
    known = {found.type: found for found in node.status.conditions or ()}
    moment = time_text(now)
    changed = False
    for type_ in _WATCHED:
        found = known.get(type_)
        if found is None:
            known[type_] = NodeCondition(
                type=type_,
                status="Unknown",
                reason="NodeStatusNeverUpdated",
                message="Kubelet never posted node status.",
                last_heartbeat_time=node.metadata.creation_timestamp,
                last_transition_time=moment,
            )
        elif found.status != "Unknown":
            known[type_] = msgspec.structs.replace(
                found,
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                last_transition_time=moment,
            )
        changed = changed or known[type_] is not found
    return list(known.values()) if changed else None


def _status_patch(node: Node, conditions: list[NodeCondition]) -> Patch:
    # With the revision, so that a heartbeat arriving at the same time is not overwritten.
    patch = {
        "metadata": {"resourceVersion": node.metadata.resource_version},
        "status": {"conditions": plain(conditions)},
    }
    return Patch(NODES, key_of(node.metadata), patch, subresource="status")


def _told(node: Node) -> Tell:
    about = reference(NODES, node.metadata)
    return Tell(Note(about, "NodeNotReady", f"Node {node.metadata.name} status is now: NodeNotReady"))


def wanted_taints(node: Node, ready: str) -> list[tuple[str, str]]:
    wanted = [(UNSCHEDULABLE, "NoSchedule")] if node.spec.unschedulable else []
    if ready in _NOT_ALIVE:
        key = NOT_READY if ready == "False" else UNREACHABLE
        wanted += [(key, "NoSchedule"), (key, "NoExecute")]
    return wanted


def _taint_changes(node: Node, ready: str, now: datetime) -> list[Change]:
    old = node.spec.taints or ()
    wanted = wanted_taints(node, ready)
    have = {(taint.key, taint.effect) for taint in old if taint.key in _OWN}
    if have == set(wanted):
        return []
    kept = [taint for taint in old if taint.key not in _OWN or (taint.key, taint.effect) in wanted]
    new = [
        Taint(key=key, effect=effect, time_added=time_text(now)) for key, effect in wanted if (key, effect) not in have
    ]
    taints: list[Document] = plain([*kept, *new])
    patch = {
        "metadata": {"resourceVersion": node.metadata.resource_version},
        "spec": {"taints": taints or None},
    }
    return [Patch(NODES, key_of(node.metadata), patch)]


def _mark_not_ready(pod: Pod, now: datetime) -> list[Change]:
    """Take the pod out of its Services: nobody knows whether it still answers."""
    if not is_ready(pod):
        return []
    kept = [found for found in pod.status.conditions or () if found.type != "Ready"]
    conditions = [*kept, PodCondition(type="Ready", status="False", last_transition_time=time_text(now))]
    patch = {
        "metadata": {"resourceVersion": pod.metadata.resource_version, "uid": pod.metadata.uid},
        "status": {"conditions": plain(conditions)},
    }
    note = Note(reference(PODS, pod.metadata), "NodeNotReady", "Node is not ready", type="Warning")
    return [Patch(PODS, key_of(pod.metadata), patch, subresource="status", note=note)]


def _evictions(node: Node, pods: Sequence[Pod], now: datetime) -> list[Change]:
    """Pods that do not, or no longer, tolerate the node's NoExecute taints are deleted."""
    taints = [taint for taint in node.spec.taints or () if taint.effect == "NoExecute"]
    changes: list[Change] = []
    waits: list[float] = []
    for pod in pods:
        if is_over(pod) or pod.metadata.deletion_timestamp is not None:
            continue
        wait = min((left for taint in taints if (left := tolerated_for(pod, taint, now)) is not None), default=None)
        if wait is None:
            continue
        if wait > 0:
            waits.append(wait)
            continue
        message = f"Marking for deletion Pod {pod.metadata.namespace}/{pod.metadata.name}"
        note = Note(reference(PODS, pod.metadata), "TaintManagerEviction", message)
        changes.append(Delete(PODS, key_of(pod.metadata), pod.metadata.uid, note=note))
    return [*changes, Later(min(waits))] if waits else changes


def tolerated_for(pod: Pod, taint: Taint, now: datetime) -> float | None:
    """Seconds the pod may stay under a NoExecute taint; None for ever."""
    matching = [found for found in pod.spec.tolerations or () if tolerates(found, taint)]
    if not matching:
        if taint.key not in (NOT_READY, UNREACHABLE):
            return 0.0
        seconds = DEFAULT_TOLERATION_S
    elif any(found.toleration_seconds is None for found in matching):
        return None
    else:
        seconds = min(max(0, found.toleration_seconds or 0) for found in matching)
    since = parse_time(taint.time_added) if taint.time_added else now
    return max(0.0, (since + timedelta(seconds=seconds) - now).total_seconds())


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return bool(toleration.key) and toleration.value == taint.value
