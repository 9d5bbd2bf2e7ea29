"""What a Deployment says of itself: counts, and the conditions Available, Progressing, ReplicaFailure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from kubesvc.api.apps import Condition, Deployment, DeploymentStatus, ReplicaSet
from kubesvc.api.times import parse_time, time_text
from kubesvc.controllers.deployment.revisions import ReplicaSets
from kubesvc.controllers.deployment.scaling import available, min_available, total

NO_DEADLINE = 2**31 - 1
Conditions = tuple[Condition, ...]


def find(conditions: Sequence[Condition] | None, type_: str) -> Condition | None:
    return next((found for found in conditions or () if found.type == type_), None)


def with_condition(conditions: Conditions, new: Condition) -> Conditions:
    """Set a condition; with the same status and reason the old one stays, times and all."""
    old = find(conditions, new.type)
    if old is not None and old.status == new.status:
        if old.reason == new.reason:
            return conditions
        new = msgspec.structs.replace(new, last_transition_time=old.last_transition_time)
    return (*without(conditions, new.type), new)


def without(conditions: Conditions, type_: str) -> Conditions:
    return tuple(found for found in conditions if found.type != type_)


def condition(type_: str, status: str, reason: str, message: str, now: datetime) -> Condition:
    moment = time_text(now)
    return Condition(
        type=type_,
        status=status,
        last_update_time=moment,
        last_transition_time=moment,
        reason=reason,
        message=message,
    )


def has_deadline(deployment: Deployment) -> bool:
    return deployment.spec.progress_deadline_seconds not in (None, NO_DEADLINE)


def count(deployment: Deployment, sets: ReplicaSets, now: datetime) -> DeploymentStatus:
    """The counts and the Available condition; the other conditions as they were."""
    ready_for_use = available(sets.all)
    return msgspec.structs.replace(
        deployment.status,
        observed_generation=deployment.metadata.generation,
        replicas=sum(owner.status.replicas for owner in sets.all),
        updated_replicas=sets.new.status.replicas if sets.new else 0,
        ready_replicas=sum(owner.status.ready_replicas for owner in sets.all),
        available_replicas=ready_for_use,
        unavailable_replicas=max(0, total(sets.all) - ready_for_use),
        terminating_replicas=sum(owner.status.terminating_replicas or 0 for owner in sets.all),
        conditions=with_condition(deployment.status.conditions or (), _available(deployment, ready_for_use, now)),
    )


def _available(deployment: Deployment, ready_for_use: int, now: datetime) -> Condition:
    if ready_for_use >= min_available(deployment):
        message = "Deployment has minimum availability."
        return condition("Available", "True", "MinimumReplicasAvailable", message, now)
    message = "Deployment does not have minimum availability."
    return condition("Available", "False", "MinimumReplicasUnavailable", message, now)


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    wanted = deployment.spec.replicas
    return (
        status.updated_replicas == wanted
        and status.replicas == wanted
        and status.available_replicas >= min_available(deployment)
        and status.observed_generation >= deployment.metadata.generation
    )


def progressed(
    deployment: Deployment, status: DeploymentStatus, new: ReplicaSet | None, now: datetime
) -> DeploymentStatus:
    """`status` with the Progressing condition of a rollout brought up to date."""
    conditions = status.conditions or ()
    if not has_deadline(deployment):
        return _replaced(status, without(conditions, "Progressing"))
    current = find(deployment.status.conditions, "Progressing")
    done = current is not None and current.reason == "NewReplicaSetAvailable"
    if done and status.replicas == status.updated_replicas:
        return status
    subject = f'ReplicaSet "{new.metadata.name}"' if new else f'Deployment "{deployment.metadata.name}"'
    if is_complete(deployment, status):
        message = f"{subject} has successfully progressed."
        change = condition("Progressing", "True", "NewReplicaSetAvailable", message, now)
    elif _moved(deployment.status, status):
        change = condition("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
        if current is not None and current.status == "True":
            change = msgspec.structs.replace(change, last_transition_time=current.last_transition_time)
        # Progress renews the time of last update even where the reason stays the same.
        conditions = without(conditions, "Progressing")
    elif deadline_in(deployment, status, now) == 0:
        message = f"{subject} has timed out progressing."
        change = condition("Progressing", "False", "ProgressDeadlineExceeded", message, now)
    elif current is None and new is not None:
        message = f'Found new replica set "{new.metadata.name}"'
        change = condition("Progressing", "True", "FoundNewReplicaSet", message, now)
    else:
        return status
    return _replaced(status, with_condition(conditions, change))


def _moved(old: DeploymentStatus, new: DeploymentStatus) -> bool:
    return (
        new.updated_replicas > old.updated_replicas
        or new.replicas - new.updated_replicas < old.replicas - old.updated_replicas
        or new.ready_replicas > old.ready_replicas
        or new.available_replicas > old.available_replicas
    )


def deadline_in(deployment: Deployment, status: DeploymentStatus, now: datetime) -> float | None:
    """Seconds until the rollout counts as stuck, 0 when it does; None when nothing is awaited."""
    current = find(status.conditions, "Progressing")
    limit = deployment.spec.progress_deadline_seconds
    if current is None or limit is None or not has_deadline(deployment):
        return None
    if current.reason == "ProgressDeadlineExceeded":
        return 0
    if current.last_update_time is None or current.reason == "NewReplicaSetAvailable":
        return None
    due = parse_time(current.last_update_time) + timedelta(seconds=limit)
    return max(0.0, (due - now).total_seconds())


def with_failures(status: DeploymentStatus, sets: ReplicaSets) -> DeploymentStatus:
    """A ReplicaSet's failure to make pods is the Deployment's too; the new set's first."""
    candidates = ((sets.new,) if sets.new else ()) + sets.old
    for owner in candidates:
        failure = find(owner.status.conditions, "ReplicaFailure")
        if failure is not None:
            lifted = msgspec.structs.replace(failure, last_update_time=failure.last_transition_time)
            return _replaced(status, with_condition(status.conditions or (), lifted))
    return _replaced(status, without(status.conditions or (), "ReplicaFailure"))


def paused(deployment: Deployment, status: DeploymentStatus, now: datetime) -> DeploymentStatus:
    """Pausing and resuming both restart the progress deadline; a rollout already stuck stays so."""
    current = find(status.conditions, "Progressing")
    if not has_deadline(deployment) or (current and current.reason == "ProgressDeadlineExceeded"):
        return status
    was = current is not None and current.reason == "DeploymentPaused"
    if deployment.spec.paused == was:
        return status
    reason, message = (
        ("DeploymentPaused", "Deployment is paused")
        if deployment.spec.paused
        else ("DeploymentResumed", "Deployment is resumed")
    )
    change = condition("Progressing", "Unknown", reason, message, now)
    return _replaced(status, with_condition(status.conditions or (), change))


def _replaced(status: DeploymentStatus, conditions: Conditions) -> DeploymentStatus:
    return msgspec.structs.replace(status, conditions=conditions or None)
