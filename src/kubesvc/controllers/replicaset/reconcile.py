"""From a ReplicaSet and its pods to pods made, deleted, adopted or let go, and to its status."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from kubesvc.api.apps import Condition, ReplicaSet, ReplicaSetStatus
from kubesvc.api.resources import PODS, REPLICASETS
from kubesvc.api.selectors import LabelSelector, label_selector_from
from kubesvc.api.times import time_text
from kubesvc.api.views import OwnerReference, Pod
from kubesvc.controllers.changes import Batch, Change, Create, Delete, Document, Later, Note, Patch
from kubesvc.controllers.meta import (
    controller_of,
    controller_reference,
    is_controlled_by,
    key_of,
    nulled,
    owner_document,
    owners_patch,
    reference,
)
from kubesvc.controllers.pods import available_in, is_active, is_over, is_ready
from kubesvc.controllers.replicaset.ranking import choose_for_deletion

BURST = 500
REPLICA_FAILURE = "ReplicaFailure"


@dataclass(frozen=True, slots=True)
class Inputs:
    """`pods`: controlled by the set, or without a controller and perhaps to adopt; `related`: of sibling sets."""

    replica_set: ReplicaSet
    pods: Sequence[Pod]
    related: Sequence[Pod] = ()


def reconcile(inputs: Inputs, *, now: datetime) -> list[Change]:
    owner = inputs.replica_set
    selector = label_selector_from(owner.spec.selector)
    if selector.everything:
        return []
    own = [pod for pod in inputs.pods if is_controlled_by(pod.metadata, owner.metadata.uid)]
    active = [pod for pod in own if is_active(pod) and selector.matches(pod.metadata.labels)]
    leaving = [pod for pod in own if not is_over(pod) and pod.metadata.deletion_timestamp is not None]
    changes: list[Change] = []
    if owner.metadata.deletion_timestamp is None:
        adopted, claims = _claims(owner, selector, inputs.pods)
        active += adopted
        changes += claims
        changes += _scale(inputs, active, now)
    status = compute_status(owner, active, len(leaving), now)
    changes += status_changes(owner, status)
    changes += _availability_checks(owner, active, now)
    return changes


def _claims(owner: ReplicaSet, selector: LabelSelector, pods: Iterable[Pod]) -> tuple[list[Pod], list[Change]]:
    """Orphans that match are adopted, own pods that no longer match are let go."""
    adopted: list[Pod] = []
    changes: list[Change] = []
    for pod in pods:
        if not is_active(pod):
            continue
        references = pod.metadata.owner_references or ()
        matches = selector.matches(pod.metadata.labels)
        if is_controlled_by(pod.metadata, owner.metadata.uid):
            if not matches:
                kept = (ref for ref in references if ref.uid != owner.metadata.uid)
                changes.append(Patch(PODS, key_of(pod.metadata), owners_patch(pod.metadata, kept)))
        elif matches and controller_of(pod.metadata) is None:
            owners: tuple[OwnerReference, ...] = (*references, controller_reference(REPLICASETS, owner.metadata))
            changes.append(Patch(PODS, key_of(pod.metadata), owners_patch(pod.metadata, owners)))
            adopted.append(pod)
    return adopted, changes


def _scale(inputs: Inputs, active: Sequence[Pod], now: datetime) -> list[Change]:
    owner = inputs.replica_set
    missing = owner.spec.replicas - len(active)
    if missing > 0:
        new = Create(PODS, pod_from_template(owner), note=_creation_note(owner))
        return [_batch(owner, (new,) * min(missing, BURST), "FailedCreate", now)]
    if missing < 0:
        related = [pod for pod in (*active, *inputs.related) if is_active(pod)]
        surplus = choose_for_deletion(active, min(-missing, BURST), related=related, now=now)
        return [_batch(owner, tuple(_deletion(owner, pod) for pod in surplus), "FailedDelete", now)]
    return []


def _batch(owner: ReplicaSet, changes: tuple[Create | Delete, ...], reason: str, now: datetime) -> Batch:
    def on_failure(message: str) -> Sequence[Patch]:
        failure = Condition(
            type=REPLICA_FAILURE, status="True", reason=reason, message=message, last_transition_time=time_text(now)
        )
        known = [c for c in owner.status.conditions or () if c.type == REPLICA_FAILURE]
        if known and known[0].reason == reason:
            return []
        status = msgspec.structs.replace(
            owner.status, conditions=(failure,), observed_generation=owner.metadata.generation
        )
        return [_status_patch(owner, status)]

    return Batch(changes, on_failure)


def pod_from_template(owner: ReplicaSet) -> Document:
    template = owner.spec.template
    given = template.get("metadata") or {}
    metadata = {name: given[name] for name in ("labels", "annotations", "finalizers") if given.get(name)}
    metadata |= {
        "generateName": f"{owner.metadata.name}-",
        "namespace": owner.metadata.namespace,
        "ownerReferences": [owner_document(controller_reference(REPLICASETS, owner.metadata))],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.get("spec") or {}}


def _creation_note(owner: ReplicaSet) -> Note:
    return Note(
        reference(REPLICASETS, owner.metadata),
        "SuccessfulCreate",
        "Created pod: {name}",
        failure_reason="FailedCreate",
        failure_message="Error creating: ",
    )


def _deletion(owner: ReplicaSet, pod: Pod) -> Delete:
    note = Note(
        reference(REPLICASETS, owner.metadata),
        "SuccessfulDelete",
        "Deleted pod: {name}",
        failure_reason="FailedDelete",
        failure_message="Error deleting: ",
    )
    return Delete(PODS, key_of(pod.metadata), pod.metadata.uid, note=note)


def compute_status(owner: ReplicaSet, active: Sequence[Pod], terminating: int, now: datetime) -> ReplicaSetStatus:
    template_labels = ((owner.spec.template.get("metadata") or {}).get("labels") or {}).items()
    waits = [available_in(pod, owner.spec.min_ready_seconds, now) for pod in active]
    return ReplicaSetStatus(
        replicas=len(active),
        fully_labeled_replicas=sum(template_labels <= (pod.metadata.labels or {}).items() for pod in active),
        ready_replicas=sum(is_ready(pod) for pod in active),
        available_replicas=sum(wait == 0 for wait in waits),
        terminating_replicas=terminating,
        observed_generation=max(owner.metadata.generation, owner.status.observed_generation),
        conditions=tuple(c for c in owner.status.conditions or () if c.type != REPLICA_FAILURE) or None,
    )


def status_changes(owner: ReplicaSet, status: ReplicaSetStatus) -> list[Change]:
    return [] if status == owner.status else [_status_patch(owner, status)]


def _status_patch(owner: ReplicaSet, status: ReplicaSetStatus) -> Patch:
    return Patch(REPLICASETS, key_of(owner.metadata), {"status": nulled(status)}, subresource="status")


def _availability_checks(owner: ReplicaSet, active: Iterable[Pod], now: datetime) -> list[Change]:
    """No event comes when a pod has been ready for long enough, so the key comes back by itself."""
    waits = [available_in(pod, owner.spec.min_ready_seconds, now) for pod in active]
    pending = [wait for wait in waits if wait]
    return [Later(min(pending))] if pending else []
