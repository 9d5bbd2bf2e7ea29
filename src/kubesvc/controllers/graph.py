"""Who owns whom, over all cached resources: the memory behind garbage collection and namespace deletion."""

from collections.abc import Iterator

from kubesvc.api.resources import Key, Resource
from kubesvc.api.views import ObjectMeta
from kubesvc.controllers.garbage import Member

Place = tuple[Resource, Key]


class OwnerGraph:
    """Objects by place, uid, owner's uid and namespace."""

    def __init__(self) -> None:
        self._members: dict[Place, Member] = {}
        self._by_uid: dict[str, Place] = {}
        self._dependents: dict[str, set[Place]] = {}
        self._by_namespace: dict[str, set[Place]] = {}

    def put(self, resource: Resource, key: Key, meta: ObjectMeta | None) -> Member | None:
        """Set or (None) remove an object; returns what was there before."""
        place = (resource, key)
        old = self._members.pop(place, None)
        if old is not None:
            self._unlink(place, old)
        if meta is not None:
            self._members[place] = Member(resource, meta)
            self._by_uid[meta.uid] = place
            if key.namespace:
                self._by_namespace.setdefault(key.namespace, set()).add(place)
            for owner in meta.owner_references or ():
                self._dependents.setdefault(owner.uid, set()).add(place)
        return old

    def at(self, place: Place) -> Member | None:
        return self._members.get(place)

    def by_uid(self, uid: str) -> Member | None:
        place = self._by_uid.get(uid)
        return self._members.get(place) if place is not None else None

    def dependents(self, uid: str) -> Iterator[Member]:
        """What refers to `uid` as an owner, in a stable order."""
        for place in sorted(self._dependents.get(uid, ()), key=_order):
            yield self._members[place]

    def in_namespace(self, namespace: str) -> Iterator[Member]:
        for place in sorted(self._by_namespace.get(namespace, ()), key=_order):
            yield self._members[place]

    def _unlink(self, place: Place, old: Member) -> None:
        if self._by_uid.get(old.meta.uid) == place:
            del self._by_uid[old.meta.uid]
        _discard(self._by_namespace, old.meta.namespace, place)
        for owner in old.meta.owner_references or ():
            _discard(self._dependents, owner.uid, place)


def _discard(groups: dict[str, set[Place]], name: str, place: Place) -> None:
    group = groups.get(name)
    if group is not None:
        group.discard(place)
        if not group:
            del groups[name]


def _order(place: Place) -> tuple[str, Key]:
    return place[0].plural, place[1]
