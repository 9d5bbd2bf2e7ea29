"""Where objects are kept: one revision counter, watch from a revision, durable writes.

`types` says what a store promises; `sqlite` keeps it on one machine.
"""

from kubesvc.store.sqlite import SqliteBackend
from kubesvc.store.types import (
    ABSENT,
    Backend,
    Compacted,
    Event,
    EventType,
    Overrun,
    Page,
    Record,
    Revision,
    RevisionMismatch,
    StorageFailed,
    StorageFull,
    StoreError,
    Watch,
    Write,
)

__all__ = [
    "ABSENT",
    "Backend",
    "Compacted",
    "Event",
    "EventType",
    "Overrun",
    "Page",
    "Record",
    "Revision",
    "RevisionMismatch",
    "SqliteBackend",
    "StorageFailed",
    "StorageFull",
    "StoreError",
    "Watch",
    "Write",
]
