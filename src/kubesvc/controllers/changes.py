"""What a controller wants done, as values: decided by pure functions, applied by the shell.

Changes of one reconciliation are applied in order; the first failure ends it, and the key is tried
again after a back-off.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kubesvc.api.resources import Key, Resource
from kubesvc.api.views import ObjectReference

Document = dict[str, Any]
PatchKind = Literal["merge", "json", "strategic"]
Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class Note:
    """An Event to record about `regarding`.

    `{name}` in `message` stands for the name of the object changed. When the change fails, the Event
    is a Warning with `failure_reason` and the server's refusal behind `failure_message`.
    """

    regarding: ObjectReference
    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"
    failure_reason: str = ""
    failure_message: str = "Error: "


@dataclass(frozen=True, slots=True)
class Create:
    """Make `obj`; with `subresource`, POST it there on the object of that name."""

    resource: Resource
    obj: Document
    subresource: str = ""
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Replace the object; its `resourceVersion` guards against a concurrent writer."""

    resource: Resource
    obj: Document
    subresource: str = ""
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """Change some fields; `metadata.uid` or `resourceVersion` inside `patch` are preconditions."""

    resource: Resource
    key: Key
    patch: Any
    subresource: str = ""
    kind: PatchKind = "merge"
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the object if it still is the one with `uid`."""

    resource: Resource
    key: Key
    uid: str
    grace_seconds: int | None = None
    propagation: Propagation | None = None
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """Record an Event and change nothing."""

    note: Note


@dataclass(frozen=True, slots=True)
class Later:
    """Reconcile the same key again in `seconds`, whatever happens meanwhile."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes that do not depend on each other, applied in groups of 1, 2, 4, ... side by side.

    The slow start keeps a whole burst from failing for the same reason. After a failing group the
    rest is given up, `on_failure` says what to change then, and the key is tried again.
    """

    changes: tuple[Create | Delete, ...]
    on_failure: Callable[[str], Sequence[Patch]] | None = None


Single = Create | Update | Patch | Delete
Change = Single | Tell | Later | Batch
