"""Create, update and delete of single objects: the order of the steps that upstream's generic registry takes.

Between reading the newest state of an object and staging the write nothing waits, so two requests never
work on the same state; `RevisionMismatch` can only come from a store shared with other servers, and is
retried. Nothing is stored by a dry run, which otherwise takes every step.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from kubesvc.aio.clock import Clock
from kubesvc.api import resources as r
from kubesvc.api.defaults import apply_defaults
from kubesvc.api.names import SUFFIX_LENGTH, generated_name, generated_suffix
from kubesvc.api.resources import Resource
from kubesvc.api.status import InternalError
from kubesvc.api.strategy import prepare_create, prepare_finalize, prepare_status_update, prepare_update
from kubesvc.api.times import time_text
from kubesvc.api.validation import (
    FieldError,
    invalid,
    invalid_error,
    validate_create,
    validate_status_update,
    validate_update,
)
from kubesvc.apiserver import refusals
from kubesvc.apiserver.documents import (
    Document,
    born,
    check_preconditions,
    from_record,
    inherit,
    is_terminating,
    metadata_of,
    place,
    to_json,
    to_value,
)
from kubesvc.apiserver.keys import key_of
from kubesvc.apiserver.kinds import DeleteOptions, Kind
from kubesvc.apiserver.request import User
from kubesvc.store.types import Backend, Record, RevisionMismatch, StorageFailed, Write

_ATTEMPTS = 8
_PLAIN = Kind()
_ORPHAN, _FOREGROUND = "orphan", "foregroundDeletion"
Change = Callable[[Document], Document]


@dataclass(frozen=True, slots=True)
class Result:
    """An object as it is now stored (or would be, in a dry run), and whether it was created."""

    value: bytes
    created: bool = False
    deleted: bool = False


class Objects:
    """The writing half of the API over one store."""

    def __init__(self, backend: Backend, kinds: Mapping[Resource, Kind], clock: Clock, random: Random) -> None:
        self.backend = backend
        self._kinds = kinds
        self._clock = clock
        self._random = random

    def kind(self, resource: Resource) -> Kind:
        return self._kinds.get(resource, _PLAIN)

    def latest(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """The newest state of an object, writes on their way to the disk included."""
        record = self.backend.latest(key_of(resource, namespace, name))
        return from_record(record) if record else None

    # Create

    async def create(
        self, resource: Resource, namespace: str, document: Document, *, user: User, dry_run: bool = False
    ) -> Result:
        """Store a new object. Raises AlreadyExists, Invalid, NotFound and Forbidden for the namespace."""
        place(resource, document, namespace=namespace)
        born(document, uid=str(uuid.UUID(int=self._random.getrandbits(128), version=4)), now=self._clock.now())
        self._check_namespace(resource, namespace, document)
        apply_defaults(resource, document)
        await self.kind(resource).admit(document, user)
        prepare_create(resource, document)
        generated = self._generate_name(document)
        for _ in range(_ATTEMPTS):
            name = metadata_of(document).get("name", "")
            key = key_of(resource, namespace, name)
            self._check_namespace(resource, namespace, document)
            if self.backend.latest(key) is None:
                writes = self._creating(resource, key, document)
                return await self._store(writes, document, resource, dry_run=dry_run, created=True)
            if not generated:
                break
            self._generate_name(document, again=True)
        raise refusals.already_exists(resource, name)

    def _creating(self, resource: Resource, key: str, document: Document) -> Sequence[Write]:
        extra = self.kind(resource).allocate(document, None)
        name = metadata_of(document).get("name", "")
        if errors := validate_create(resource, document):
            raise invalid_error(resource, name, errors)
        return [*extra, Write(key, to_value(resource, document))]

    def _check_namespace(self, resource: Resource, namespace: str, document: Document) -> None:
        if not resource.namespaced:
            return
        found = self.latest(r.NAMESPACES, "", namespace)
        if found is None:
            raise refusals.not_found(r.NAMESPACES, namespace)
        if is_terminating(found):
            name = metadata_of(document).get("name", "")
            raise refusals.namespace_terminating(resource, name, namespace)

    def _generate_name(self, document: Document, *, again: bool = False) -> bool:
        metadata = metadata_of(document)
        base = metadata.get("generateName", "")
        if not base or (metadata.get("name") and not again):
            return False
        suffix = generated_suffix(self._random.getrandbits(32) for _ in range(SUFFIX_LENGTH))
        metadata["name"] = generated_name(base, suffix)
        return True

    # Update

    async def update(
        self, resource: Resource, namespace: str, name: str, change: Change, *,
        subresource: str = "", dry_run: bool = False, must_be_conditional: bool = False,
    ) -> Result:  # fmt: skip
        """Replace an object by what `change` makes of its newest state.

        `change` gets a document of its own, to alter or to keep, and may be called more than once.
        `must_be_conditional` refuses documents without a resourceVersion where the kind demands one.
        """
        key = key_of(resource, namespace, name)
        for _ in range(_ATTEMPTS):
            record = self.backend.latest(key)
            if record is None:
                raise refusals.not_found(resource, name)
            old, new = from_record(record), change(from_record(record))
            place(resource, new, namespace=namespace, name=name)
            if must_be_conditional and not self.kind(resource).unconditional_update:
                _require_revision(resource, new)
            inherit(resource, new, old)
            writes = self._updating(resource, record, new, old, subresource)
            if not writes:
                return await self._unchanged(record)
            try:
                return await self._store(writes, new, resource, dry_run=dry_run)
            except RevisionMismatch:
                continue
        raise refusals.conflict(resource, name)

    def _updating(
        self, resource: Resource, record: Record, new: Document, old: Document, subresource: str
    ) -> Sequence[Write]:
        """The writes of an update; none when nothing changed."""
        kind = self.kind(resource)
        extra: Sequence[Write] = ()
        errors: Sequence[FieldError] = ()
        apply_defaults(resource, new)
        if subresource == "status":
            prepare_status_update(resource, new, old)
            errors = validate_status_update(resource, new, old)
        elif subresource == "finalize":
            prepare_finalize(new, old)
        elif not subresource:
            prepare_update(resource, new, old)
            extra = kind.allocate(new, old)
            errors = validate_update(resource, new, old)
        if errors:
            raise invalid_error(resource, new["metadata"]["name"], errors)
        if is_terminating(new) and kind.may_go(new):
            last_words = to_value(resource, new)
            return [Write(record.key, None, record.revision, last_words), *kind.release(new)]
        if new == old and not extra:
            return ()
        return [*extra, Write(record.key, to_value(resource, new), record.revision)]

    # Delete

    async def delete(
        self, resource: Resource, namespace: str, name: str, options: DeleteOptions, *, dry_run: bool = False
    ) -> Result:
        """Remove an object, or mark it terminating while finalizers or a grace period hold it."""
        key = key_of(resource, namespace, name)
        kind = self.kind(resource)
        for _ in range(_ATTEMPTS):
            record = self.backend.latest(key)
            if record is None:
                raise refusals.not_found(resource, name)
            document = from_record(record)
            wanted = {"uid": options.uid, "resourceVersion": options.resource_version}
            check_preconditions(resource, document, wanted)
            kind.check_deletable(document)
            changed = self._terminate(document, kind, options)
            if kind.may_go(document):
                writes = [Write(key, None, record.revision), *kind.release(document)]
            elif changed:
                writes = [Write(key, to_value(resource, document), record.revision)]
            else:
                return await self._unchanged(record)
            gone = kind.may_go(document)
            try:
                result = await self._store(writes, document, resource, dry_run=dry_run)
            except RevisionMismatch:
                continue
            return Result(result.value, deleted=gone)
        raise refusals.conflict(resource, name)

    def _terminate(self, document: Document, kind: Kind, options: DeleteOptions) -> bool:
        """Put deletion time, grace and the propagation's finalizer into the metadata; whether anything changed."""
        metadata = document["metadata"]
        before = dict(metadata)
        _set_propagation(metadata, options.propagation)
        grace = kind.grace_seconds(document, options)
        current = metadata.get("deletionGracePeriodSeconds")
        if not is_terminating(document) or (current is not None and grace < current):
            metadata["deletionTimestamp"] = time_text(self._clock.now() + timedelta(seconds=grace))
            metadata["deletionGracePeriodSeconds"] = grace
            if "generation" in metadata:
                metadata["generation"] += 1
            kind.mark_terminating(document)
        return bool(metadata != before)

    # Both

    async def _store(
        self, writes: Sequence[Write], document: Document, resource: Resource, *, dry_run: bool, created: bool = False
    ) -> Result:
        if dry_run:
            return Result(to_json({"kind": resource.kind, "apiVersion": resource.group_version, **document}), created)
        own = key_of(resource, document["metadata"].get("namespace", ""), document["metadata"]["name"])
        records = await self._commit(writes)
        value = next(record.value for record in records if record.key == own)
        return Result(value, created)

    async def _unchanged(self, record: Record) -> Result:
        """The object as it is; not before it is durable, because the answer says that it is stored so."""
        if self.backend.get(record.key) is not record:
            await self._commit(())
        return Result(record.value)

    async def _commit(self, writes: Sequence[Write]) -> Sequence[Record]:
        try:
            return await self.backend.commit(writes)
        except StorageFailed as err:
            raise InternalError(f"the object could not be stored: {err}") from err


def _set_propagation(metadata: Document, propagation: str) -> None:
    """Let the garbage collector orphan or first delete the dependents: it waits for these finalizers."""
    if not propagation:
        return
    finalizers = [f for f in metadata.get("finalizers") or () if f not in (_ORPHAN, _FOREGROUND)]
    finalizers += {"Orphan": [_ORPHAN], "Foreground": [_FOREGROUND]}.get(propagation, [])
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _require_revision(resource: Resource, document: Document) -> None:
    metadata = metadata_of(document)
    if not metadata.get("resourceVersion"):
        error = invalid("metadata.resourceVersion", 0, "must be specified for an update")
        raise invalid_error(resource, metadata.get("name", ""), [error])
