"""What is special about single kinds, behind one shape: `Kind` itself is a plain object's behaviour.

Hooks decide on documents. They may ask the store for the newest state (staged writes included) and return
further writes, which share the transaction of the object's own write: an address and the Service that has
it, a Service's deletion and that of its Endpoints, are stored together or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kubesvc.apiserver.documents import Document, is_held
from kubesvc.apiserver.request import User
from kubesvc.store.types import Write


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """`metav1.DeleteOptions` as read from body or query."""

    grace_seconds: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""


class Kind:
    """Behaviour around the life of one object; everything is a no-op here."""

    returns_deleted = False
    """Whether DELETE answers with the object instead of a Status."""

    creates_on_update = False
    """Whether PUT to a name that is not there creates it."""

    unconditional_update = True
    """Whether PUT may leave the resourceVersion out."""

    async def admit(self, document: Document, user: User) -> None:
        """Complete or refuse an object about to be created; the only hook that may wait."""

    def allocate(self, document: Document, old: Document | None) -> Sequence[Write]:
        """Give the object what the cluster hands out, in place; `old` is None on create."""
        return ()

    def release(self, old: Document) -> Sequence[Write]:
        """What goes together with the object."""
        return ()

    def check_deletable(self, document: Document) -> None:
        """Refuse the deletion of what must stay."""

    def grace_seconds(self, document: Document, options: DeleteOptions) -> int:
        """How long the object stays, terminating, after a delete."""
        return 0

    def mark_terminating(self, document: Document) -> None:
        """Show the termination in the object's own words."""

    def may_go(self, document: Document) -> bool:
        """Whether a terminating object has nothing left to wait for."""
        return not is_held(document) and not document["metadata"].get("deletionGracePeriodSeconds")


class CreatesOnUpdate(Kind):
    creates_on_update = True


class Returned(Kind):
    returns_deleted = True


class LeaseKind(Kind):
    """A Lease is a lock: an update must say which state it is based on."""

    creates_on_update = True
    unconditional_update = False
