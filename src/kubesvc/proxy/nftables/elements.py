"""Elements: what a Service is made of in the table.

An element's key is a tuple that begins with the name of its map or set; its value is a word, a
target, the name of a chain, or None in a set. Addresses are text, protocols numbers, ranges CIDRs.
"""

from collections.abc import Mapping
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
