"""Waiting to see one's own writes, so that a late cache never makes a controller do a thing twice.

After a controller wrote an object for a key, the key is not reconciled again before the cache shows
that write or a later state of the object. This replaces upstream's expectations, stale-slice trackers
and mutation caches by one rule. Revisions are compared as numbers (KEP-5504).
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from kubesvc.api.resources import Key, Resource, revision_of
from kubesvc.api.views import ObjectMeta

# A write that never shows up (the cache lost its connection for longer than the server keeps history,
# and the object is gone meanwhile) holds its key up no longer than this.
PATIENCE_S = 60.0

Waiter = tuple[Hashable, Hashable]
_Place = tuple[Resource, Key]


@dataclass(frozen=True, slots=True)
class Write:
    """What must be seen: at least `revision`; or for a deletion, that the object of `uid` is on its way out."""

    resource: Resource
    key: Key
    revision: int
    uid: str = ""

    def is_shown_by(self, meta: ObjectMeta | None) -> bool:
        if meta is None:
            # Unless deleting, absence may as well mean "not yet there".
            return bool(self.uid)
        if self.uid:
            return meta.uid != self.uid or meta.deletion_timestamp is not None
        return revision_of(meta.resource_version) >= self.revision


class OwnWrites:
    """The writes not yet seen, per waiter; `on_settled` is called when a waiter has seen all of its own."""

    def __init__(self, on_settled: Callable[[Waiter], None]) -> None:
        self._unseen: dict[_Place, dict[Waiter, Write]] = {}
        self._places: dict[Waiter, set[_Place]] = {}
        self._on_settled = on_settled

    def wrote(self, waiter: Waiter, write: Write) -> None:
        place = (write.resource, write.key)
        self._unseen.setdefault(place, {})[waiter] = write
        self._places.setdefault(waiter, set()).add(place)

    def is_waiting(self, waiter: Waiter) -> bool:
        return waiter in self._places

    def give_up(self, waiter: Waiter) -> None:
        """Forget what `waiter` waits for."""
        for place in self._places.pop(waiter, ()):
            self._drop(place, waiter)

    def saw(self, resource: Resource, key: Key, meta: ObjectMeta | None) -> None:
        """The cache changed: `meta` is the object's newest known state, None a deletion."""
        place = (resource, key)
        writes = self._unseen.get(place)
        if not writes:
            return
        shown = [waiter for waiter, write in writes.items() if meta is None or write.is_shown_by(meta)]
        for waiter in shown:
            self._drop(place, waiter)
            left = self._places[waiter]
            left.discard(place)
            if not left:
                del self._places[waiter]
                self._on_settled(waiter)

    def _drop(self, place: _Place, waiter: Waiter) -> None:
        writes = self._unseen[place]
        del writes[waiter]
        if not writes:
            del self._unseen[place]
