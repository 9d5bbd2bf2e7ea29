"""What iptables-restore is fed: whole rulesets, and just what changed. Pure text."""

from collections.abc import Iterable, Mapping

from kubesvc.proxy.iptables import names
from kubesvc.proxy.iptables.compile import Chain, PortRules
from kubesvc.proxy.iptables.static import JUMPS, SHARED

TABLES = ("filter", "nat")
OWNED_PREFIXES = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-")


class Restore:
    """Collects lines per table; `text` has them in the order iptables-restore wants."""

    def __init__(self) -> None:
        self._chains: dict[str, list[str]] = {table: [] for table in TABLES}
        self._rules: dict[str, list[str]] = {table: [] for table in TABLES}
        self._removed: dict[str, list[str]] = {table: [] for table in TABLES}

    def __len__(self) -> int:
        return sum(len(lines) for part in (self._rules, self._removed) for lines in part.values())

    def rules(self) -> dict[str, int]:
        """How many rules are written or taken out, by table."""
        return {table: len(lines) for table, lines in self._rules.items()}

    def chain(self, table: str, chain: str, rules: Iterable[str] = ()) -> None:
        """Make the chain, or empty it, and fill it."""
        self._chains[table].append(f":{chain} - [0:0]")
        self._rules[table] += (f"-A {chain} {rule}" for rule in rules)

    def insert(self, table: str, chain: str, rule: str) -> None:
        """Put a rule at the top of a chain."""
        self._rules[table].append(f"-I {chain} 1 {rule}")

    def delete(self, table: str, chain: str, rule: str) -> None:
        """Take a rule out of a chain."""
        self._rules[table].append(f"-D {chain} {rule}")

    def remove(self, table: str, chain: str) -> None:
        """Empty a chain and remove it, after everything else."""
        self._chains[table].append(f":{chain} - [0:0]")
        self._removed[table].append(f"-X {chain}")

    def text(self) -> str:
        """The input of iptables-restore; "" if there is nothing to do."""
        parts = []
        for table in TABLES:
            lines = [*self._chains[table], *self._rules[table], *self._removed[table]]
            if lines:
                parts.append("\n".join((f"*{table}", *lines, "COMMIT", "")))
        return "".join(parts)


def full_restore(
    rules: Iterable[PortRules], fixed: Mapping[Chain, tuple[str, ...]], existing: Mapping[str, Iterable[str]]
) -> Restore:
    """Everything, over whatever is there: `existing` has the lines of iptables-save by table."""
    restore = Restore()
    owned: set[str] = set()
    entries: dict[Chain, list[str]] = {chain: [] for chain in SHARED}
    for port in rules:
        for name, lines in port.chains.items():
            owned.add(name)
            restore.chain("nat", name, lines)
        for chain, lines in port.entries.items():
            entries[chain] += lines
    for chain in SHARED:
        restore.chain(*chain, (*entries[chain], *fixed.get(chain, ())))
    for table, found in existing.items():
        present = tuple(found)
        _add_jumps(restore, table, present)
        for name in _chain_names(present):
            if table == "nat" and name.startswith(OWNED_PREFIXES) and name not in owned:
                restore.remove(table, name)
    return restore


def partial_restore(before: Mapping[str, PortRules], after: Mapping[str, PortRules]) -> Restore:
    """Just what differs between two forms of some ports (by any key); a missing port has no rules."""
    restore = Restore()
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        _partial(restore, old, new)
    return restore


def _partial(restore: Restore, old: PortRules | None, new: PortRules | None) -> None:
    old_chains, new_chains = (rules.chains if rules else {} for rules in (old, new))
    old_entries, new_entries = (rules.entries if rules else {} for rules in (old, new))
    for name, lines in new_chains.items():
        if old_chains.get(name) != lines:
            restore.chain("nat", name, lines)
    for chain in (*old_entries.keys(), *(chain for chain in new_entries if chain not in old_entries)):
        before, after = old_entries.get(chain, ()), new_entries.get(chain, ())
        if before == after:
            continue
        for line in before:
            restore.delete(*chain, line)
        for line in reversed(after):
            restore.insert(*chain, line)
    for name in old_chains:
        if name not in new_chains:
            restore.remove("nat", name)


def cleanup_restore(existing: Mapping[str, Iterable[str]]) -> Restore:
    """Remove every chain and every jump this mode ever makes, and nothing else."""
    restore = Restore()
    for table, lines in existing.items():
        present = tuple(lines)
        shared = {chain for in_table, chain in SHARED if in_table == table}
        for line in present:
            words = line.split()
            if line.startswith("-A ") and not words[1].startswith("KUBE-") and words[-1] in shared:
                restore.delete(table, words[1], line.split(" ", 2)[2])
        for name in _chain_names(present):
            if name in shared or (table == "nat" and name.startswith(OWNED_PREFIXES)):
                restore.remove(table, name)
    return restore


def _add_jumps(restore: Restore, table: str, present: tuple[str, ...]) -> None:
    """Jumps that are missing; one is known by its chain and its target, in whatever words it is shown."""
    there = {(line.split()[1], line.split()[-1]) for line in present if line.startswith("-A ")}
    for in_table, chain, rule in JUMPS:
        if in_table == table and (chain, rule.split()[-1]) not in there:
            restore.insert(table, chain, rule)


def _chain_names(lines: Iterable[str]) -> list[str]:
    return [line[1:].split()[0] for line in lines if line.startswith(":") and names.SERVICES[:5] in line]
