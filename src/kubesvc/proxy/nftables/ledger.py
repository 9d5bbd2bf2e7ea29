"""Who owns which element, and what the kernel therefore has to hold.

Several service ports may need the same element (an address set, a hairpin), and two may claim one
address and port with different values (two Services with the same external address). The first
owner's value is in force; when it lets go, the next one's takes its place.
"""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from kubesvc.proxy.nftables.elements import Changes, ElementKey, Elements, Value

Owner = TypeVar("Owner")

EXCLUSIVE = frozenset(
    ("endpoints-tcp", "endpoints-udp", "endpoints-sctp", "sticky", "choices", "bound-tcp", "bound-udp", "bound-sctp")
)
"""Maps whose keys contain the owner's number: nobody else can claim them."""


class Ledger(Generic[Owner]):
    """The elements of every owner."""

    def __init__(self) -> None:
        self._owned: dict[Owner, Elements] = {}
        self._claims: dict[ElementKey, dict[Owner, Value]] = {}

    def __len__(self) -> int:
        return len(self._owned)

    def owners(self) -> Iterable[Owner]:
        """Everybody who owns something."""
        return self._owned.keys()

    def of(self, owner: Owner) -> Elements:
        """What `owner` asked for, in force or not."""
        return self._owned.get(owner, {})

    def in_force(self) -> Iterator[tuple[Owner, ElementKey, Value]]:
        """Everything the kernel should hold, each element once, with the owner it is held for."""
        for owner, elements in self._owned.items():
            for key, value in elements.items():
                if key[0] in EXCLUSIVE or next(iter(self._claims[key])) == owner:
                    yield owner, key, value

    def items(self) -> Iterator[tuple[ElementKey, Value]]:
        """Everything the kernel should hold, each element once."""
        for _, key, value in self.in_force():
            yield key, value

    def replace(self, owner: Owner, elements: Elements) -> Changes:
        """Make `elements` what `owner` has; return what that changes in the kernel."""
        before = self._owned.get(owner, {})
        changes = Changes()
        for key, value in before.items():
            if key not in elements:
                self._release(owner, key, value, changes)
        for key, value in elements.items():
            if key not in before:
                self._claim(owner, key, value, changes)
            elif before[key] != value:
                self._change(owner, key, before[key], value, changes)
        if elements:
            self._owned[owner] = elements
        else:
            self._owned.pop(owner, None)
        return changes

    def _claim(self, owner: Owner, key: ElementKey, value: Value, changes: Changes) -> None:
        if key[0] in EXCLUSIVE:
            changes.adds.append((key, value))
            return
        claims = self._claims.setdefault(key, {})
        if not claims:
            changes.adds.append((key, value))
        claims[owner] = value

    def _release(self, owner: Owner, key: ElementKey, value: Value, changes: Changes) -> None:
        if key[0] in EXCLUSIVE:
            changes.deletes.append((key, value))
            return
        claims = self._claims[key]
        first = next(iter(claims)) == owner
        del claims[owner]
        if not claims:
            del self._claims[key]
            changes.deletes.append((key, value))
        elif first:
            self._switch(key, value, next(iter(claims.values())), changes)

    def _change(self, owner: Owner, key: ElementKey, old: Value, new: Value, changes: Changes) -> None:
        if key[0] in EXCLUSIVE:
            self._switch(key, old, new, changes)
            return
        claims = self._claims[key]
        claims[owner] = new
        if next(iter(claims)) == owner:
            self._switch(key, old, new, changes)

    @staticmethod
    def _switch(key: ElementKey, old: Value, new: Value, changes: Changes) -> None:
        if old != new:
            changes.deletes.append((key, old))
            changes.adds.append((key, new))
