"""Garbage collection by ownerReferences: background, foreground and orphaning deletion.

An object all of whose owners are gone is deleted. One deleted with the finalizer `foregroundDeletion`
waits for the dependents that block it; one with `orphan` is first taken out of its dependents' references.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from kubesvc.api.resources import Key, Resource
from kubesvc.api.views import ObjectMeta, OwnerReference
from kubesvc.controllers.changes import Change, Delete, Patch, Propagation
from kubesvc.controllers.meta import finalizers_patch, key_of, owners_patch

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class OwnerState(StrEnum):
    """What has become of one owner; `UNKNOWN` is treated as present: nothing is deleted on a guess."""

    PRESENT = "present"
    ABSENT = "absent"
    WAITING = "waiting for its dependents"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Member:
    """One object in the graph of owners."""

    resource: Resource
    meta: ObjectMeta

    @property
    def key(self) -> Key:
        return key_of(self.meta)


@dataclass(frozen=True, slots=True)
class Inputs:
    """`owners`: each reference of the object with its state; `dependents`: what refers to the object's uid."""

    member: Member
    owners: Sequence[tuple[OwnerReference, OwnerState]]
    dependents: Sequence[Member]


def state_of(meta: ObjectMeta) -> OwnerState:
    """The state of an owner that exists."""
    waits = meta.deletion_timestamp is not None and FOREGROUND in (meta.finalizers or ())
    return OwnerState.WAITING if waits else OwnerState.PRESENT


def reconcile(inputs: Inputs) -> list[Change]:
    meta = inputs.member.meta
    if meta.deletion_timestamp is not None:
        finalizers = meta.finalizers or ()
        if ORPHAN in finalizers:
            return _orphan(inputs)
        if FOREGROUND in finalizers:
            return _wait_for_dependents(inputs)
        return []
    return _delete_if_ownerless(inputs)


def _orphan(inputs: Inputs) -> list[Change]:
    uid = inputs.member.meta.uid
    changes: list[Change] = []
    for dependent in inputs.dependents:
        kept = (owner for owner in dependent.meta.owner_references or () if owner.uid != uid)
        changes.append(Patch(dependent.resource, dependent.key, owners_patch(dependent.meta, kept)))
    return [*changes, _without_finalizer(inputs.member, ORPHAN)]


def _wait_for_dependents(inputs: Inputs) -> list[Change]:
    uid = inputs.member.meta.uid
    blocking = [
        dependent
        for dependent in inputs.dependents
        if any(owner.uid == uid and owner.block_owner_deletion for owner in dependent.meta.owner_references or ())
    ]
    if not blocking:
        return [_without_finalizer(inputs.member, FOREGROUND)]
    return []


def _delete_if_ownerless(inputs: Inputs) -> list[Change]:
    states = [state for _, state in inputs.owners]
    gone = [state for state in states if state in (OwnerState.ABSENT, OwnerState.WAITING)]
    if not gone:
        return []
    member = inputs.member
    if len(gone) < len(states):
        # Somebody still owns it: only the references to the others go away.
        kept = [owner for owner, state in inputs.owners if state in (OwnerState.PRESENT, OwnerState.UNKNOWN)]
        return [Patch(member.resource, member.key, owners_patch(member.meta, kept))]
    foreground = OwnerState.WAITING in states and bool(inputs.dependents)
    return [Delete(member.resource, member.key, member.meta.uid, propagation=_policy(member, foreground=foreground))]


def _policy(member: Member, *, foreground: bool) -> Propagation:
    finalizers = member.meta.finalizers or ()
    if ORPHAN in finalizers:
        return "Orphan"
    return "Foreground" if foreground or FOREGROUND in finalizers else "Background"


def _without_finalizer(member: Member, name: str) -> Patch:
    kept = (finalizer for finalizer in member.meta.finalizers or () if finalizer != name)
    return Patch(member.resource, member.key, finalizers_patch(member.meta, kept))
