"""The state of the store as values: what is current, what is staged, what happened lately.

A write lives twice. `stage` checks it against the newest state, staged writes included, and gives it a
revision; `apply` makes it visible after the medium has it; `abandon` forgets every staged write when the
medium refused one, since later ones were checked against it. Readers see only what was applied.

History is a bounded queue of applied events. The state at an older revision is the current one with newer
events undone. An event that leaves the queue makes rows of the medium superfluous: the value it replaced
and, if it was a deletion, itself. `take_garbage` hands those revisions out.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubesvc.store.types import (
    ABSENT,
    Compacted,
    Event,
    EventType,
    Page,
    Record,
    Revision,
    RevisionMismatch,
    Write,
    restamped,
    with_revision,
)


@dataclass(frozen=True, slots=True)
class Staged:
    """A checked transaction: the rows to persist (None: a deletion) and the records they become."""

    rows: tuple[tuple[Revision, str, bytes | None], ...]
    records: tuple[Record, ...]


class Mvcc:
    """Current records, staged writes and a bounded history; no medium, no clock."""

    def __init__(self, *, keep_events: int = 8192, keep_bytes: int = 16 << 20) -> None:
        self.revision = Revision(0)
        self.compacted = Revision(0)
        self._records: dict[str, Record] = {}
        self._keys: list[str] = []
        self._staged: dict[str, tuple[Revision, Record | None]] = {}
        self._next = 0
        self._history: deque[Event] = deque()
        self._history_bytes = 0
        self._keep_events = keep_events
        self._keep_bytes = keep_bytes
        self._garbage: list[Revision] = []

    def get(self, key: str) -> Record | None:
        return self._records.get(key)

    def latest(self, key: str) -> Record | None:
        staged = self._staged.get(key)
        return staged[1] if staged else self._records.get(key)

    def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: Revision | None = None) -> Page:
        """Records whose key starts with `prefix` and is greater than `after`, as of `revision`."""
        keys: Sequence[str] = self._keys
        records, seen = self._records, self.revision
        if revision is not None and revision < self.revision:
            keys, records = self._rewound(prefix, revision)
            seen = revision
        start = bisect_right(keys, after) if after else bisect_left(keys, prefix)
        end = bisect_left(keys, prefix + "\U0010ffff") if prefix else len(keys)
        stop = min(end, start + limit) if limit else end
        return Page([records[key] for key in keys[start:stop]], seen, max(0, end - stop))

    def stage(self, writes: Sequence[Write]) -> Staged:
        """Check all writes against the newest state and number them; raises RevisionMismatch and stages nothing."""
        for write in writes:
            current = self.latest(write.key)
            actual = current.revision if current else ABSENT
            if actual != write.expected:
                raise RevisionMismatch(write.key, actual)
        rows, records = [], []
        for write in writes:
            self._next += 1
            revision = Revision(self._next)
            record = Record(write.key, self._body(write, revision), revision)
            self._staged[write.key] = (revision, None if write.value is None else record)
            rows.append((revision, write.key, write.value))
            records.append(record)
        return Staged(tuple(rows), tuple(records))

    def apply(self, staged: Staged) -> Sequence[Event]:
        """Make a transaction visible that the medium now holds; the events to tell watchers."""
        events = []
        for (revision, key, value), record in zip(staged.rows, staged.records, strict=True):
            newest = self._staged.get(key)
            if newest and newest[0] == revision:
                del self._staged[key]
            events.append(self._advance(record, deletion=value is None))
        return events

    def abandon(self) -> None:
        """Forget every staged write; their revisions are not used again."""
        self._staged.clear()

    def events_after(self, prefix: str, revision: Revision) -> Sequence[Event]:
        """Applied events under `prefix` newer than `revision`, oldest first; raises Compacted."""
        if revision < self.compacted:
            raise Compacted(revision, self.compacted)
        found = []
        for event in reversed(self._history):
            if event.revision <= revision:
                break
            if event.record.key.startswith(prefix):
                found.append(event)
        found.reverse()
        return found

    def replay(self, rows: Iterable[tuple[int, str, bytes | None]], *, compacted: Revision, revision: Revision) -> None:
        """Rebuild the state from the medium's rows in revision order."""
        self.compacted = compacted
        for number, key, value in rows:
            previous = self._records.get(key)
            if value is None and previous is None:
                continue
            at = Revision(number)
            body = with_revision(value, at) if value is not None else restamped(previous, at) if previous else b""
            self._advance(Record(key, body, at), deletion=value is None)
        self.revision = Revision(max(self.revision, revision))
        self._next = self.revision

    def take_garbage(self) -> Sequence[Revision]:
        """Revisions whose rows are needed neither for the state nor for the history any more; each is given once."""
        garbage, self._garbage = self._garbage, []
        return garbage

    def return_garbage(self, revisions: Sequence[Revision]) -> None:
        """Give back what `take_garbage` handed out, because the medium did not delete it."""
        self._garbage.extend(revisions)

    def _body(self, write: Write, revision: Revision) -> bytes:
        if write.value is not None:
            return with_revision(write.value, revision)
        if write.last_words is not None:
            return with_revision(write.last_words, revision)
        current = self.latest(write.key)
        return restamped(current, revision) if current else b""

    def _advance(self, record: Record, *, deletion: bool) -> Event:
        previous = self._records.get(record.key)
        if deletion:
            kind = EventType.DELETED
            if previous:
                del self._records[record.key]
                del self._keys[bisect_left(self._keys, record.key)]
        else:
            kind = EventType.MODIFIED if previous else EventType.ADDED
            self._records[record.key] = record
            if not previous:
                insort(self._keys, record.key)
        event = Event(kind, record, previous)
        self.revision = record.revision
        if record.revision > self.compacted:
            self._remember(event)
        return event

    def _remember(self, event: Event) -> None:
        self._history.append(event)
        self._history_bytes += len(event.previous.value) if event.previous else 0
        while len(self._history) > self._keep_events or self._history_bytes > self._keep_bytes:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        event = self._history.popleft()
        self.compacted = event.revision
        if event.previous:
            self._history_bytes -= len(event.previous.value)
            self._garbage.append(event.previous.revision)
        if event.type is EventType.DELETED:
            self._garbage.append(event.revision)

    def _rewound(self, prefix: str, revision: Revision) -> tuple[Sequence[str], dict[str, Record]]:
        """Keys and records under `prefix` with every event newer than `revision` undone."""
        records = {key: self._records[key] for key in self._range(prefix)}
        for event in reversed(self.events_after(prefix, revision)):
            if event.previous:
                records[event.record.key] = event.previous
            else:
                records.pop(event.record.key, None)
        return sorted(records), records

    def _range(self, prefix: str) -> Sequence[str]:
        return self._keys[bisect_left(self._keys, prefix) : bisect_left(self._keys, prefix + "\U0010ffff")]
