"""How many replicas each ReplicaSet of a Deployment may have now.

Every function returns target sizes by set name and names only sets whose size changes. The bounds hold at
every step: never more than `replicas + maxSurge` pods, never fewer than `replicas - maxUnavailable` available.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kubesvc.api.apps import Deployment, ReplicaSet
from kubesvc.api.intstr import scaled_value
from kubesvc.controllers.deployment.revisions import DESIRED, MAXIMUM, ReplicaSets, age, annotation_int

Sizes = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Fenceposts:
    """`maxSurge` (rounded up) and `maxUnavailable` (rounded down) in pods."""

    surge: int
    unavailable: int


def is_rolling(deployment: Deployment) -> bool:
    return deployment.spec.strategy.type == "RollingUpdate"


def fenceposts(deployment: Deployment) -> Fenceposts:
    if not is_rolling(deployment):
        return Fenceposts(0, 0)
    limits = deployment.spec.strategy.rolling_update
    surge = limits.max_surge if limits and limits.max_surge is not None else "25%"
    unavailable = limits.max_unavailable if limits and limits.max_unavailable is not None else "25%"
    total = deployment.spec.replicas
    up = scaled_value(surge, total, round_up=True)
    down = scaled_value(unavailable, total, round_up=False)
    # With both at zero nothing could ever move; rounding must not bring that about.
    return Fenceposts(up, min(down if up or down else 1, total))


def max_replicas(deployment: Deployment) -> int:
    return deployment.spec.replicas + fenceposts(deployment).surge


def min_available(deployment: Deployment) -> int:
    return deployment.spec.replicas - fenceposts(deployment).unavailable


def total(sets: Iterable[ReplicaSet]) -> int:
    return sum(owner.spec.replicas for owner in sets)


def available(sets: Iterable[ReplicaSet]) -> int:
    return sum(owner.status.available_replicas for owner in sets)


def size_of_new(deployment: Deployment, current: int, all_replicas: int) -> int:
    """The size the new set may grow to, with `current` replicas of its own among `all_replicas`."""
    if not is_rolling(deployment):
        return deployment.spec.replicas
    room = max_replicas(deployment) - all_replicas
    if room <= 0:
        return current
    return current + min(room, deployment.spec.replicas - current)


def roll(deployment: Deployment, sets: ReplicaSets) -> Sizes:
    """The next step of a rolling update: first the new set, and once that has its size, the old ones."""
    new = sets.new
    if new is None:
        return {}
    wanted = deployment.spec.replicas
    if new.spec.replicas > wanted:
        return {new.metadata.name: wanted}
    grown = size_of_new(deployment, new.spec.replicas, total(sets.all))
    if grown != new.spec.replicas:
        return {new.metadata.name: grown}
    return _shrink_old(deployment, sets)


def _shrink_old(deployment: Deployment, sets: ReplicaSets) -> Sizes:
    new = sets.new
    if new is None or not total(sets.old):
        return {}
    # Pods of the new set that are not available yet are no replacement for old ones.
    new_unavailable = new.spec.replicas - new.status.available_replicas
    budget = total(sets.all) - min_available(deployment) - new_unavailable
    if budget <= 0:
        return {}
    sizes = {owner.metadata.name: owner.spec.replicas for owner in sets.old}
    for owner in sets.old:
        # Unhealthy old pods go first: without them nothing becomes less available.
        broken = max(0, owner.spec.replicas - owner.status.available_replicas)
        taken = min(budget, broken)
        sizes[owner.metadata.name] -= taken
        budget -= taken
    spare = available(sets.all) - min_available(deployment)
    for owner in sets.old:
        taken = min(max(spare, 0), sizes[owner.metadata.name])
        sizes[owner.metadata.name] -= taken
        spare -= taken
    return _changed(sets.old, sizes)


def is_scaling_event(deployment: Deployment, sets: ReplicaSets) -> bool:
    """Whether `spec.replicas` changed since the active sets were sized."""
    noted = (annotation_int(owner, DESIRED) for owner in sets.all if owner.spec.replicas)
    return any(desired is not None and desired != deployment.spec.replicas for desired in noted)


def scale(deployment: Deployment, sets: ReplicaSets) -> Sizes:
    """The sizes after `spec.replicas` changed or while paused: in the middle of a rollout, all in proportion."""
    wanted = deployment.spec.replicas
    active = [owner for owner in sets.all if owner.spec.replicas]
    if len(active) <= 1:
        only = active[0] if active else sets.new or max(sets.old, key=age, default=None)
        return _changed([only], {only.metadata.name: wanted}) if only else {}
    if _is_saturated(deployment, sets.new):
        return {owner.metadata.name: 0 for owner in sets.old if owner.spec.replicas}
    return _in_proportion(deployment, active) if is_rolling(deployment) else {}


def _is_saturated(deployment: Deployment, new: ReplicaSet | None) -> bool:
    wanted = deployment.spec.replicas
    return new is not None and new.spec.replicas == wanted and annotation_int(new, DESIRED) == wanted


def _in_proportion(deployment: Deployment, active: Sequence[ReplicaSet]) -> Sizes:
    wanted = deployment.spec.replicas
    to_add = (max_replicas(deployment) if wanted > 0 else 0) - total(active)
    if to_add == 0:
        return {}
    ordered = sorted(active, key=age, reverse=to_add > 0)
    ordered.sort(key=lambda owner: owner.spec.replicas, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for owner in ordered:
        left = to_add - added
        share = _fraction(deployment, owner)
        share = min(share, left) if to_add > 0 else max(share, left)
        sizes[owner.metadata.name] = owner.spec.replicas + share
        added += share
    largest = ordered[0].metadata.name
    sizes[largest] = max(0, sizes[largest] + to_add - added)
    return _changed(ordered, sizes)


def _fraction(deployment: Deployment, owner: ReplicaSet) -> int:
    if deployment.spec.replicas == 0:
        return -owner.spec.replicas
    sized_for = annotation_int(owner, MAXIMUM) or deployment.status.replicas or deployment.spec.replicas
    share = owner.spec.replicas * max_replicas(deployment) / sized_for
    return math.floor(share + 0.5) - owner.spec.replicas


def _changed(owners: Iterable[ReplicaSet], sizes: Sizes) -> Sizes:
    return {
        owner.metadata.name: sizes[owner.metadata.name]
        for owner in owners
        if sizes[owner.metadata.name] != owner.spec.replicas
    }
