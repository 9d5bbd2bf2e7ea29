"""Carrying changes out through the API: in order, with Events, and with a memory of what was written."""

import asyncio
from collections.abc import Sequence

from kubesvc.api.resources import Key, Resource, revision_of
from kubesvc.api.status import ApiError, Conflict, Forbidden, NotFound
from kubesvc.client.errors import ClientError
from kubesvc.client.events import EventRecorder
from kubesvc.client.rest import Client
from kubesvc.controllers.caches import Caches
from kubesvc.controllers.changes import (
    Batch,
    Change,
    Create,
    Delete,
    Document,
    Later,
    Note,
    Patch,
    Single,
    Tell,
    Update,
)
from kubesvc.controllers.meta import reference
from kubesvc.controllers.ownwrites import OwnWrites, Waiter, Write


class Applier:
    """Applies the changes of all controllers."""

    def __init__(self, client: Client, recorder: EventRecorder, caches: Caches, writes: OwnWrites) -> None:
        self._client = client
        self._recorder = recorder
        self._caches = caches
        self._writes = writes

    async def apply(self, waiter: Waiter, changes: Sequence[Change]) -> float | None:
        """Apply in order; return after how many seconds to look again. Raises the first refusal."""
        again: list[float] = []
        for change in changes:
            match change:
                case Later():
                    again.append(change.seconds)
                case Tell():
                    self._tell(change.note)
                case Batch():
                    await self._apply_batch(waiter, change)
                case _:
                    await self._apply_one(waiter, change)
        return min(again) if again else None

    def tell_trouble(self, resource: Resource, key: Key, message: str) -> None:
        """Record on an object that a controller cannot do its work for it."""
        meta = self._caches.meta(resource, key)
        if meta is not None:
            self._recorder.event(reference(resource, meta), "Warning", "ReconcileFailed", message)

    async def _apply_batch(self, waiter: Waiter, batch: Batch) -> None:
        size, rest = 1, batch.changes
        while rest:
            group, rest = rest[:size], rest[size:]
            results = await asyncio.gather(
                *(self._apply_one(waiter, change) for change in group), return_exceptions=True
            )
            failure = next((result for result in results if isinstance(result, BaseException)), None)
            if failure is not None:
                if isinstance(failure, ApiError) and batch.on_failure is not None:
                    await self.apply(waiter, batch.on_failure(failure.message))
                raise failure
            size *= 2

    async def _apply_one(self, waiter: Waiter, change: Single) -> None:
        try:
            answer = await self._request(change)
        except (ApiError, ClientError) as err:
            if _is_moot(change, err):
                return
            if change.note is not None and change.note.failure_reason and not isinstance(err, Conflict):
                self._tell_failure(change.note, err)
            raise
        self._remember(waiter, change, answer)
        if change.note is not None:
            self._tell(change.note, answer)

    async def _request(self, change: Single) -> Document:
        client = self._client
        match change:
            case Create():
                name = change.obj["metadata"]["name"] if change.subresource else ""
                return await client.create(change.resource, change.obj, name=name, subresource=change.subresource)
            case Update():
                return await client.update(change.resource, change.obj, subresource=change.subresource)
            case Patch():
                return await client.patch(
                    change.resource,
                    change.key.name,
                    change.patch,
                    namespace=change.key.namespace,
                    kind=change.kind,
                    subresource=change.subresource,
                )
            case Delete():
                return await client.delete(
                    change.resource,
                    change.key.name,
                    namespace=change.key.namespace,
                    grace_seconds=change.grace_seconds,
                    uid=change.uid or None,
                    propagation=change.propagation,
                )

    def _remember(self, waiter: Waiter, change: Single, answer: Document) -> None:
        if isinstance(change, Create) and change.subresource:
            return  # a binding's answer is a Status; the pod's own event tells
        resource = change.resource
        meta = answer.get("metadata") or {}
        revision = revision_of(meta.get("resourceVersion", ""))
        if isinstance(change, Delete):
            write = Write(resource, change.key, 0, change.uid)
        else:
            write = Write(resource, Key(meta.get("namespace", ""), meta.get("name", "")), revision)
        if not self._is_seen(resource, write):
            self._writes.wrote(waiter, write)

    def _is_seen(self, resource: Resource, write: Write) -> bool:
        at = self._caches.revision(resource)
        if at is None or (write.revision and revision_of(at) >= write.revision):
            return True  # nobody reads it from a cache, or the cache is already past it
        return write.is_shown_by(self._caches.meta(resource, write.key))

    def _tell(self, note: Note, answer: Document | None = None) -> None:
        name = (answer or {}).get("metadata", {}).get("name", "")
        self._recorder.event(note.regarding, note.type, note.reason, note.message.replace("{name}", name))

    def _tell_failure(self, note: Note, err: Exception) -> None:
        message = note.failure_message + (err.message if isinstance(err, ApiError) else str(err))
        self._recorder.event(note.regarding, "Warning", note.failure_reason, message)


def _is_moot(change: Single, err: Exception) -> bool:
    """Whether the refusal means there is nothing left to do: the object is gone, or its namespace is going."""
    if isinstance(err, NotFound):
        return not isinstance(change, Create) or bool(change.subresource)
    if isinstance(err, Conflict) and isinstance(change, Delete):
        return True  # another object has the name now
    return isinstance(err, Forbidden) and any(cause.reason == "NamespaceTerminating" for cause in err.causes)
