"""What iptables-restore is fed: what changed, in transactions of a bearable size. Pure text."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from kubesvc.proxy.iptables.compile import PortRules
from kubesvc.proxy.iptables.static import SHARED
from kubesvc.proxy.model import ServicePortName

TABLES = ("nat", "filter")
"""In this order: who is let through filter rules is looked at once the address is translated."""
OWNED_PREFIXES = ("KUBE-FW-", "KUBE-EXT-", "KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-")
"""In this order, each leads only to chains of prefixes after it."""
CHAIN_ENTRIES = 2
"""A chain of one's own takes two entries of a table, beside its rules."""


class Restore:
    """Collects lines per table; `text` has them in the order iptables-restore wants.

    `before` is how many rules a chain has had; None where there was none.
    """

    def __init__(self) -> None:
        self.growth: Counter[str] = Counter()
        """By how many entries each table grows."""
        # What is declared, then changed, then removed, each by table.
        self.declared: dict[str, list[str]] = {table: [] for table in TABLES}
        self.changed: dict[str, list[str]] = {table: [] for table in TABLES}
        self.removed: dict[str, list[str]] = {table: [] for table in TABLES}

    def __len__(self) -> int:
        return sum(len(lines) for part in (self.declared, self.changed) for lines in part.values())

    def rules(self) -> dict[str, int]:
        """How many rules are written or taken out, by table."""
        return {table: len(lines) for table, lines in self.changed.items()}

    def add(self, other: "Restore") -> None:
        """Do what another restore does, too."""
        self.growth.update(other.growth)
        for mine, theirs in (
            (self.declared, other.declared), (self.changed, other.changed), (self.removed, other.removed),
        ):  # fmt: skip
            for table in TABLES:
                mine[table] += theirs[table]

    def chain(self, table: str, chain: str, rules: Iterable[str] = (), *, before: int | None) -> None:
        """Make the chain, or empty it, and fill it."""
        lines = [f"-A {chain} {rule}" for rule in rules]
        self.declared[table].append(f":{chain} - [0:0]")
        self.changed[table] += lines
        self.growth[table] += len(lines) + (CHAIN_ENTRIES if before is None else -before)

    def append(self, table: str, chain: str, rule: str) -> None:
        """Put a rule at the end of a chain."""
        self.changed[table].append(f"-A {chain} {rule}")
        self.growth[table] += 1

    def insert(self, table: str, chain: str, rule: str) -> None:
        """Put a rule at the top of a chain."""
        self.changed[table].append(f"-I {chain} 1 {rule}")
        self.growth[table] += 1

    def delete(self, table: str, chain: str, rule: str) -> None:
        """Take a rule out of a chain."""
        self.changed[table].append(f"-D {chain} {rule}")
        self.growth[table] -= 1

    def remove(self, table: str, chain: str, *, before: int) -> None:
        """Empty a chain and remove it, after everything else."""
        self.declared[table].append(f":{chain} - [0:0]")
        self.removed[table].append(f"-X {chain}")
        self.growth[table] -= before + CHAIN_ENTRIES

    def text(self) -> str:
        """The input of iptables-restore; "" if there is nothing to do."""
        parts = []
        for table in TABLES:
            lines = [*self.declared[table], *self.changed[table], *self.removed[table]]
            if lines:
                parts.append("\n".join((f"*{table}", *lines, "COMMIT", "")))
        return "".join(parts)


Owned = tuple[ServicePortName | None, Restore]
"""A restore, and the port it is made for."""


def batches(parts: Iterable[Owned], size: int) -> Iterator[list[Owned]]:
    """Restores that go together because they have no more than `size` lines; a larger one goes alone."""
    batch: list[Owned] = []
    lines = 0
    for part in parts:
        length = len(part[1])
        if batch and lines + length > size:
            yield batch
            batch, lines = [], 0
        if length:
            batch.append(part)
            lines += length
    if batch:
        yield batch


def together(parts: Iterable[Owned]) -> Restore:
    """One restore that does what all of these do."""
    result = Restore()
    for _, restore in parts:
        result.add(restore)
    return result


def partial_restore(old: PortRules, new: PortRules) -> Restore:
    """Just what differs between two forms of a port."""
    restore = Restore()
    for name, lines in new.chains.items():
        before = old.chains.get(name)
        if before != lines:
            restore.chain("nat", name, lines, before=None if before is None else len(before))
    for chain in (*old.entries.keys(), *(chain for chain in new.entries if chain not in old.entries)):
        before, after = old.entries.get(chain, ()), new.entries.get(chain, ())
        if before == after:
            continue
        for line in before:
            restore.delete(*chain, line)
        for line in reversed(after):
            restore.insert(*chain, line)
    for name, lines in old.chains.items():
        if name not in new.chains:
            restore.remove("nat", name, before=len(lines))
    return restore


def cleanup_restores(existing: Mapping[str, Iterable[str]]) -> Iterator[Owned]:
    """Remove every chain and every jump this mode ever makes, and nothing else; in this order."""
    listed = {table: tuple(lines) for table, lines in existing.items()}
    entrances, exits = Restore(), Restore()
    for table, lines in listed.items():
        shared = {chain for in_table, chain in SHARED if in_table == table}
        for line in lines:
            words = line.split()
            if line.startswith("-A ") and not words[1].startswith("KUBE-") and words[-1] in shared:
                entrances.delete(table, words[1], line.split(" ", 2)[2])
        for name in _chain_names(lines):
            if name in shared:
                entrances.chain(table, name, before=0)
                exits.remove(table, name, before=0)
    yield None, entrances
    yield from removals(dict.fromkeys(_chain_names(listed.get("nat", ())), 0))
    yield None, exits


def removals(chains: Mapping[str, int]) -> Iterator[Owned]:
    """Remove those of nat's chains that are of ports; each has so many rules."""
    for prefix in OWNED_PREFIXES:
        for name, rules in chains.items():
            if name.startswith(prefix):
                removal = Restore()
                removal.remove("nat", name, before=rules)
                yield None, removal


def _chain_names(lines: Iterable[str]) -> list[str]:
    return [line[1:].split()[0] for line in lines if line.startswith(":KUBE-")]
