"""What a store promises: records, events, transactions, and the refusals.

A key is `resource/namespace/name` (`services/default/web`) or `resource/name` (`nodes/node-1`). A value is
the JSON text of one object, `kind` and `apiVersion` before `metadata`, without a `resourceVersion`: that is
the store's own to give, and is spliced in once, when the write gets its revision.

    StoreError
    ├── RevisionMismatch   the object is not (or no longer) at the expected revision
    ├── Compacted          the revision asked for is older than the kept history
    ├── Overrun            a watcher was too slow and has been dropped; it must list again
    └── StorageFailed      nothing was written
        └── StorageFull    ... because the disk is full
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType, Protocol

Revision = NewType("Revision", int)

ABSENT = Revision(0)


class Durability(StrEnum):
    """What an acknowledged write survives."""

    DISK = "disk"
    """Everything but the loss of the medium: it is synced before it is acknowledged."""

    PROCESS = "process"
    """The end of any process, kill -9 included. A crash of the machine may lose it, or break the whole store."""


_METADATA = b'"metadata":{'


class StoreError(Exception):
    """Base of everything a store refuses."""


class RevisionMismatch(StoreError):
    """`key` is at revision `actual` (0: absent), not at the expected one."""

    def __init__(self, key: str, actual: Revision) -> None:
        super().__init__(f"{key} is at revision {actual}")
        self.key = key
        self.actual = actual


class Compacted(StoreError):
    """History before `oldest` is gone."""

    def __init__(self, asked: Revision, oldest: Revision) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")
        self.asked = asked
        self.oldest = oldest


class Overrun(StoreError):
    """The watcher did not read fast enough."""


class StorageFailed(StoreError):
    """The medium refused the write; nothing of the transaction was applied."""


class StorageFull(StorageFailed):
    """There is no space left for the write; nothing of the transaction was applied."""


@dataclass(frozen=True, slots=True)
class Record:
    """One object as of `revision`; `value` carries that revision as `metadata.resourceVersion`."""

    key: str
    value: bytes
    revision: Revision


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(slots=True)
class Event:
    """One committed write. A deleted object's `record` is its last state at the revision of its deletion."""

    type: EventType
    record: Record
    previous: Record | None
    _frame: bytes = field(default=b"", repr=False, compare=False)

    @property
    def revision(self) -> Revision:
        return self.record.revision

    @property
    def frame(self) -> bytes:
        """The line of a watch answer, encoded once for all watchers."""
        if not self._frame:
            self._frame = encode_frame(self.type, self.record.value)
        return self._frame


@dataclass(frozen=True, slots=True)
class Write:
    """Put `value` at `key` (None: delete it) if `key` is at revision `expected` (ABSENT: if there is none).

    A delete may carry `last_words`: the value its event shows instead of the stored one.
    """

    key: str
    value: bytes | None
    expected: Revision = ABSENT
    last_words: bytes | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: the records, the revision it is a view of, and how many are left after it."""

    records: Sequence[Record]
    revision: Revision
    remaining: int


class Watch(Protocol):
    """A subscription; its events come in order, none twice, none left out."""

    async def next(self) -> Sequence[Event]:
        """The events since the last call, at least one unless interrupted. Raises Overrun when it was dropped."""
        ...

    def interrupt(self) -> None:
        """Make the pending call of `next`, or the coming one, return at once."""
        ...

    @property
    def progress(self) -> Revision:
        """Everything up to this revision has been returned by `next` already."""
        ...

    def close(self) -> None: ...


class Backend(Protocol):
    """A keyed store with one revision counter over all keys."""

    @property
    def revision(self) -> Revision:
        """The revision of the newest durable write."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether the last write was stored."""
        ...

    def get(self, key: str) -> Record | None:
        """The newest durable state of `key`."""
        ...

    def latest(self, key: str) -> Record | None:
        """Like `get`, but with the writes on their way to the disk: what the next write is checked against."""
        ...

    def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: Revision | None = None) -> Page:
        """Records under `prefix` in key order, as of `revision`. Raises Compacted."""
        ...

    async def commit(self, writes: Sequence[Write]) -> tuple[Record, ...]:
        """Apply all writes durably or none; each gets its own revision. Raises RevisionMismatch, StorageFailed.

        Returns after everything committed before; without writes of its own, that is all it waits for.
        """
        ...

    def watch(self, prefix: str, *, after: Revision) -> Watch:
        """Events under `prefix` newer than `after`, from the kept history on. Raises Compacted."""
        ...

    async def close(self) -> None: ...


def with_revision(value: bytes, revision: Revision) -> bytes:
    """Splice `resourceVersion` into the object's metadata."""
    return value.replace(_METADATA, b'"metadata":{"resourceVersion":"%d",' % revision, 1)


def restamped(record: Record, revision: Revision) -> bytes:
    """The record's value with another `resourceVersion`."""
    old = b'"metadata":{"resourceVersion":"%d",' % record.revision
    return record.value.replace(old, b'"metadata":{"resourceVersion":"%d",' % revision, 1)


def encode_frame(kind: str, value: bytes) -> bytes:
    """One line of a watch answer."""
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), value)
