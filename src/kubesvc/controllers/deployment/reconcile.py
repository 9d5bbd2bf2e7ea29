"""From a Deployment, its ReplicaSets and their pods to the next step of its rollout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from kubesvc.api.apps import Deployment, DeploymentStatus, ReplicaSet
from kubesvc.api.resources import DEPLOYMENTS, REPLICASETS
from kubesvc.api.selectors import label_selector_from
from kubesvc.api.views import Pod
from kubesvc.controllers.changes import Change, Create, Delete, Later, Note, Patch, Tell
from kubesvc.controllers.deployment import scaling, status
from kubesvc.controllers.deployment.revisions import (
    DESIRED,
    MAXIMUM,
    REVISION,
    ReplicaSets,
    new_replica_set,
    next_revision,
    split,
    template_hash,
    updated_annotations,
)
from kubesvc.controllers.meta import (
    controller_of,
    controller_reference,
    is_controlled_by,
    key_of,
    nulled,
    owners_patch,
    reference,
)
from kubesvc.controllers.pods import is_over


@dataclass(frozen=True, slots=True)
class Inputs:
    """`replica_sets`: of the whole namespace; `pods`: of this Deployment's sets, by set uid."""

    deployment: Deployment
    replica_sets: Sequence[ReplicaSet]
    pods: Mapping[str, Sequence[Pod]]


@dataclass(frozen=True, slots=True)
class _Step:
    """Changes, and the sets as they will be once the changes are made."""

    changes: list[Change]
    sets: ReplicaSets


def reconcile(inputs: Inputs, *, now: datetime) -> list[Change]:
    deployment = inputs.deployment
    selector = label_selector_from(deployment.spec.selector)
    if selector.everything:
        return _selects_all(deployment)
    owned, claims = _claim(inputs)
    sets = split(deployment, owned)
    if deployment.metadata.deletion_timestamp is not None:
        return [*claims, *_status_changes(deployment, status.count(deployment, sets, now))]
    resumed = status.paused(deployment, deployment.status, now)
    if resumed != deployment.status:
        # Written on its own: the deadline starts anew from here.
        return [*claims, _status_patch(deployment, resumed)]
    if deployment.spec.paused or scaling.is_scaling_event(deployment, sets):
        step = _resize(deployment, sets, scaling.scale(deployment, sets), annotate_all=True)
        cleanup = _clean_up(deployment, step.sets) if deployment.spec.paused else []
        counted = status.count(deployment, step.sets, now)
        return [*claims, *step.changes, *cleanup, *_status_changes(deployment, counted)]
    return [*claims, *_roll_out(inputs, sets, now)]


def _roll_out(inputs: Inputs, sets: ReplicaSets, now: datetime) -> list[Change]:
    deployment = inputs.deployment
    changes: list[Change] = []
    sizes: scaling.Sizes
    if scaling.is_rolling(deployment):
        if sets.new is None:
            return _create_new(inputs, sets, now)
        sizes = scaling.roll(deployment, sets)
    else:
        sizes = {owner.metadata.name: 0 for owner in sets.old if owner.spec.replicas}
        if not sizes and not _old_pods_run(inputs, sets):
            if sets.new is None:
                return _create_new(inputs, sets, now)
            if sets.new.spec.replicas != deployment.spec.replicas:
                sizes = {sets.new.metadata.name: deployment.spec.replicas}
    changes += _note_revision(deployment, sets)
    step = _resize(deployment, sets, sizes)
    changes += step.changes
    if not sizes and status.is_complete(deployment, status.count(deployment, sets, now)):
        changes += _clean_up(deployment, sets)
    counted = status.count(deployment, step.sets, now)
    rolled = status.with_failures(status.progressed(deployment, counted, sets.new, now), sets)
    changes += _status_changes(deployment, rolled)
    wait = status.deadline_in(deployment, rolled, now)
    # One second more, so that the deadline has passed for sure when the key comes back.
    return [*changes, Later(wait + 1)] if wait else changes


def _claim(inputs: Inputs) -> tuple[list[ReplicaSet], list[Change]]:
    deployment = inputs.deployment
    selector = label_selector_from(deployment.spec.selector)
    owned: list[ReplicaSet] = []
    changes: list[Change] = []
    for found in inputs.replica_sets:
        meta = found.metadata
        matches = selector.matches(meta.labels)
        mine = is_controlled_by(meta, deployment.metadata.uid)
        if mine and matches:
            owned.append(found)
        elif deployment.metadata.deletion_timestamp is not None or meta.deletion_timestamp is not None:
            continue
        elif mine:
            kept = (ref for ref in meta.owner_references or () if ref.uid != deployment.metadata.uid)
            changes.append(Patch(REPLICASETS, key_of(meta), owners_patch(meta, kept)))
        elif matches and controller_of(meta) is None:
            owners = (*(meta.owner_references or ()), controller_reference(DEPLOYMENTS, deployment.metadata))
            changes.append(Patch(REPLICASETS, key_of(meta), owners_patch(meta, owners)))
            owned.append(found)
    return owned, changes


def _create_new(inputs: Inputs, sets: ReplicaSets, now: datetime) -> list[Change]:
    deployment = inputs.deployment
    word = template_hash(deployment.spec.template, deployment.status.collision_count)
    name = f"{deployment.metadata.name}-{word}"
    if any(found.metadata.name == name for found in inputs.replica_sets):
        # The name belongs to a set with another template or owner: the next hash will differ.
        collided = (deployment.status.collision_count or 0) + 1
        return [_status_patch(deployment, msgspec.structs.replace(deployment.status, collision_count=collided))]
    number = next_revision(sets)
    replicas = scaling.size_of_new(deployment, 0, scaling.total(sets.old))
    maximum = scaling.max_replicas(deployment)
    document = new_replica_set(deployment, word, replicas=replicas, number=number, maximum=maximum)
    note = _scaling_note(deployment, name, 0, replicas) if replicas else None
    changes: list[Change] = [Create(REPLICASETS, document, note=note)]
    changes += _revision_patch(deployment, str(number))
    counted = status.count(deployment, sets, now)
    if status.has_deadline(deployment):
        message = f'Created new replica set "{name}"'
        progress = status.condition("Progressing", "True", "NewReplicaSetCreated", message, now)
        conditions = status.with_condition(counted.conditions or (), progress)
        counted = msgspec.structs.replace(counted, conditions=conditions)
    return [*changes, *_status_changes(deployment, counted)]


def _note_revision(deployment: Deployment, sets: ReplicaSets) -> list[Change]:
    """Keep the new set's annotations and `minReadySeconds`, and the Deployment's revision, in step."""
    new = sets.new
    if new is None:
        return []
    changes: list[Change] = []
    annotations = updated_annotations(deployment, new, next_revision(sets))
    patch: dict[str, object] = {}
    if annotations != (new.metadata.annotations or {}):
        patch["metadata"] = {"annotations": annotations}
    if new.spec.min_ready_seconds != deployment.spec.min_ready_seconds:
        patch["spec"] = {"minReadySeconds": deployment.spec.min_ready_seconds}
    if patch:
        changes.append(Patch(REPLICASETS, key_of(new.metadata), patch))
    return changes + _revision_patch(deployment, annotations.get(REVISION, "1"))


def _revision_patch(deployment: Deployment, number: str) -> list[Change]:
    if (deployment.metadata.annotations or {}).get(REVISION) == number:
        return []
    return [Patch(DEPLOYMENTS, key_of(deployment.metadata), {"metadata": {"annotations": {REVISION: number}}})]


def _resize(deployment: Deployment, sets: ReplicaSets, sizes: scaling.Sizes, *, annotate_all: bool = False) -> _Step:
    changes: list[Change] = []
    sized = {DESIRED: str(deployment.spec.replicas), MAXIMUM: str(scaling.max_replicas(deployment))}
    for owner in sets.all:
        target = sizes.get(owner.metadata.name, owner.spec.replicas)
        resized = target != owner.spec.replicas
        stale = (owner.metadata.annotations or {}).items() >= sized.items()
        if not resized and (stale or not annotate_all or not owner.spec.replicas):
            continue
        patch = {"metadata": {"annotations": sized}, "spec": {"replicas": target}}
        note = _scaling_note(deployment, owner.metadata.name, owner.spec.replicas, target) if resized else None
        changes.append(Patch(REPLICASETS, key_of(owner.metadata), patch, note=note))
    new = _resized(sets.new, sizes) if sets.new else None
    return _Step(changes, ReplicaSets(new, tuple(_resized(owner, sizes) for owner in sets.old)))


def _resized(owner: ReplicaSet, sizes: scaling.Sizes) -> ReplicaSet:
    if owner.metadata.name not in sizes:
        return owner
    spec = msgspec.structs.replace(owner.spec, replicas=sizes[owner.metadata.name])
    return msgspec.structs.replace(owner, spec=spec)


def _scaling_note(deployment: Deployment, name: str, before: int, after: int) -> Note:
    direction = "up" if after > before else "down"
    return Note(
        reference(DEPLOYMENTS, deployment.metadata),
        "ScalingReplicaSet",
        f"Scaled {direction} replica set {name} from {before} to {after}",
        failure_reason="ReplicaSetCreateError" if before == 0 else "",
        failure_message=f'Failed to create new replica set "{name}": ',
    )


def _clean_up(deployment: Deployment, sets: ReplicaSets) -> list[Change]:
    """Delete the oldest empty sets beyond `revisionHistoryLimit`."""
    limit = deployment.spec.revision_history_limit
    old = [owner for owner in sets.old if owner.metadata.deletion_timestamp is None]
    if limit is None or len(old) <= limit:
        return []
    return [
        Delete(REPLICASETS, key_of(owner.metadata), owner.metadata.uid)
        for owner in old[: len(old) - limit]
        if not owner.status.replicas
        and not owner.spec.replicas
        and owner.metadata.generation <= owner.status.observed_generation
    ]


def _old_pods_run(inputs: Inputs, sets: ReplicaSets) -> bool:
    if any(owner.status.replicas for owner in sets.old):
        return True
    new_uid = sets.new.metadata.uid if sets.new else ""
    return any(not is_over(pod) for uid, pods in inputs.pods.items() if uid != new_uid for pod in pods)


def _selects_all(deployment: Deployment) -> list[Change]:
    message = "This deployment is selecting all pods. A non-empty selector is required."
    note = Note(reference(DEPLOYMENTS, deployment.metadata), "SelectingAll", message, type="Warning")
    seen = msgspec.structs.replace(deployment.status, observed_generation=deployment.metadata.generation)
    return [Tell(note), *_status_changes(deployment, seen)] if seen != deployment.status else []


def _status_changes(deployment: Deployment, new: DeploymentStatus) -> list[Change]:
    return [] if new == deployment.status else [_status_patch(deployment, new)]


def _status_patch(deployment: Deployment, new: DeploymentStatus) -> Patch:
    return Patch(DEPLOYMENTS, key_of(deployment.metadata), {"status": nulled(new)}, subresource="status")
