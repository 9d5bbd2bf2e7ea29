"""Elements: what a Service is made of in the table.

An element's key is a tuple that begins with the name of its map or set; its value is a word, a
target, the name of a chain, or None in a set. Addresses are text, protocols numbers, ranges CIDRs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kubesvc.proxy.model import Target

ElementKey = tuple[str | int, ...]
Value = int | str | Target | None
Elements = Mapping[ElementKey, Value]


@dataclass(slots=True)
class Changes:
    """What to delete from and then add to the kernel; a changed value is in both."""

    deletes: list[tuple[ElementKey, Value]] = field(default_factory=list)
    adds: list[tuple[ElementKey, Value]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.deletes or self.adds)

    def __len__(self) -> int:
        return len(self.deletes) + len(self.adds)

    def extend(self, other: "Changes") -> None:
        """Append changes that come after these."""
        self.deletes += other.deletes
        self.adds += other.adds


def diff_elements(before: Elements, after: Elements) -> Changes:
    """The changes that turn `before` into `after`."""
    changes = Changes()
    for key, value in before.items():
        if key not in after or after[key] != value:
            changes.deletes.append((key, value))
    for key, value in after.items():
        if key not in before or before[key] != value:
            changes.adds.append((key, value))
    return changes


def apply_changes(elements: Elements, changes: Changes) -> dict[ElementKey, Value]:
    """What the kernel holds after the changes; KeyError or ValueError where it would refuse them."""
    result = dict(elements)
    for key, _ in changes.deletes:
        del result[key]
    for key, value in changes.adds:
        if result.get(key, value) != value:
            raise ValueError(f"element {key} exists with another value")
        result[key] = value
    return result


def count_by_map(elements: Iterable[ElementKey]) -> dict[str | int, int]:
    """How many elements each map has."""
    counts: dict[str | int, int] = {}
    for key in elements:
        counts[key[0]] = counts.get(key[0], 0) + 1
    return counts
