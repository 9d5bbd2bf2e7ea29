"""Which ReplicaSet is the new one, what it is called, and the history kept in annotations."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kubesvc.api.apps import Deployment, ReplicaSet
from kubesvc.api.resources import DEPLOYMENTS
from kubesvc.controllers.changes import Document
from kubesvc.controllers.meta import controller_reference, owner_document, plain

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = frozenset(
    (REVISION, HISTORY, DESIRED, MAXIMUM, "kubectl.kubernetes.io/last-applied-configuration",
     "deprecated.deployment.rollback.to")
)  # fmt: skip
# No vowels and no 0, 1, 3: a hash never spells a word nor is misread.
_SAFE = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True)
class ReplicaSets:
    """A Deployment's sets: the one with its present template, if there is one, and all others by age."""

    new: ReplicaSet | None
    old: tuple[ReplicaSet, ...]

    @property
    def all(self) -> tuple[ReplicaSet, ...]:
        return (*self.old, self.new) if self.new else self.old


def age(owner: ReplicaSet) -> tuple[str, str]:
    return owner.metadata.creation_timestamp or "", owner.metadata.name


def split(deployment: Deployment, sets: Sequence[ReplicaSet]) -> ReplicaSets:
    """The oldest set with the Deployment's template is the new one, so that two can never both be."""
    ordered = sorted(sets, key=age)
    wanted = _without_hash(deployment.spec.template)
    new = next((owner for owner in ordered if _without_hash(owner.spec.template) == wanted), None)
    return ReplicaSets(new, tuple(owner for owner in ordered if owner is not new))


def template_hash(template: Mapping[str, Any], collisions: int | None) -> str:
    """A stable word for a template; `collisions` makes another one when the name is taken."""
    text = msgspec.json.encode([template, collisions or 0], order="deterministic")
    number = int.from_bytes(hashlib.blake2b(text, digest_size=6).digest())
    word = ""
    for _ in range(10):
        number, index = divmod(number, len(_SAFE))
        word += _SAFE[index]
    return word


def revision(owner: ReplicaSet) -> int:
    try:
        return int((owner.metadata.annotations or {}).get(REVISION, "0"))
    except ValueError:
        return 0


def next_revision(sets: ReplicaSets) -> int:
    return max(map(revision, sets.old), default=0) + 1


def annotation_int(owner: ReplicaSet, name: str) -> int | None:
    value = (owner.metadata.annotations or {}).get(name, "")
    return int(value) if value.isdecimal() else None


def updated_annotations(deployment: Deployment, owner: ReplicaSet, number: int) -> dict[str, str]:
    """The annotations of an existing new set: the Deployment's, the revision, and past revisions on a roll-back."""
    annotations = dict(owner.metadata.annotations or {})
    annotations |= copied_annotations(deployment)
    old = annotations.get(REVISION)
    if revision(owner) < number:
        annotations[REVISION] = str(number)
        if old is not None:
            past = annotations.get(HISTORY)
            annotations[HISTORY] = f"{past},{old}" if past else old
    return annotations


def copied_annotations(deployment: Deployment) -> dict[str, str]:
    given = deployment.metadata.annotations or {}
    return {name: value for name, value in given.items() if name not in _NOT_COPIED}


def new_replica_set(deployment: Deployment, word: str, *, replicas: int, number: int, maximum: int) -> Document:
    """The document of the set for the present template, its selector narrowed by the template's hash."""
    template = _with_label(deployment.spec.template, word)
    selector: Document = plain(deployment.spec.selector)
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: word}
    spec: Document = {"replicas": replicas, "selector": selector, "template": template}
    if deployment.spec.min_ready_seconds:
        spec["minReadySeconds"] = deployment.spec.min_ready_seconds
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment.metadata.name}-{word}",
            "namespace": deployment.metadata.namespace,
            "labels": template["metadata"]["labels"],
            "annotations": copied_annotations(deployment)
            | {REVISION: str(number), DESIRED: str(deployment.spec.replicas), MAXIMUM: str(maximum)},
            "ownerReferences": [owner_document(controller_reference(DEPLOYMENTS, deployment.metadata))],
        },
        "spec": spec,
    }


def _with_label(template: Mapping[str, Any], word: str) -> Document:
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: word}
    return {**template, "metadata": metadata}


def _without_hash(template: Mapping[str, Any]) -> Document:
    metadata = {name: value for name, value in (template.get("metadata") or {}).items() if value}
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH_LABEL}
    metadata.pop("creationTimestamp", None)
    return {**template, "metadata": {**metadata, "labels": labels}}
