"""What differs between the chains that are wanted and those that are there. Pure.

Ports are handed in one after the other, so that neither all rules nor all restores need to be in
memory at once. What nobody has asked for until the end is too much.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kubesvc.proxy.iptables.compile import Chain, PortRules
from kubesvc.proxy.iptables.restore import Owned, Restore, removals
from kubesvc.proxy.iptables.saved import Saved, canonical, same
from kubesvc.proxy.iptables.static import JUMPS, SHARED


class PortRepair(NamedTuple):
    """What is to be done for one port: first its chains, then what leads to them."""

    chains: Restore
    entries: Restore


class Repair:
    """Compares with `saved`, which it uses up."""

    def __init__(self, saved: Saved, fixed: Mapping[Chain, Sequence[str]]) -> None:
        self._saved = saved
        self._fixed = fixed
        self._shared: dict[Chain, _SharedChain] = {}

    def base(self) -> Restore:
        """The shared chains with what always stands in them, and the jumps to them. To be asked for first."""
        restore = Restore()
        for chain in SHARED:
            found = self._saved.chains.get(chain)
            fixed = self._fixed.get(chain, ())
            shared = self._shared[chain] = _SharedChain(found or ())
            if found is None:
                restore.chain(*chain, fixed, before=None)
            elif not shared.ends_with(fixed):
                shared.append(restore, chain, fixed)
        for table, built_in, rule in JUMPS:
            there = self._saved.jumps.get((table, built_in), ())
            if canonical(rule) not in map(canonical, there):
                restore.insert(table, built_in, rule)
        return restore

    def port(self, rules: PortRules) -> PortRepair:
        """What is missing or different of one port."""
        chains, entries = Restore(), Restore()
        for name, lines in rules.chains.items():
            found = self._saved.chains.pop(("nat", name), None)
            if found is None or not same(found, lines):
                chains.chain("nat", name, lines, before=None if found is None else len(found))
        for chain, lines in rules.entries.items():
            self._shared[chain].put(entries, chain, lines)
        return PortRepair(chains, entries)

    def surplus(self) -> Iterator[Owned]:
        """What is too much, in an order in which it can be removed. To be asked for last."""
        entries = Restore()
        for chain, shared in self._shared.items():
            for rule in shared.left():
                entries.delete(*chain, rule)
        yield None, entries
        yield from removals({name: len(rules) for (table, name), rules in self._saved.chains.items() if table == "nat"})


class _SharedChain:
    """The rules of a shared chain that nobody has asked for yet, by their canonical text."""

    def __init__(self, found: Sequence[str]) -> None:
        self._found = found
        self._places: dict[str, list[int]] = {}
        for place in range(len(found) - 1, -1, -1):
            self._places.setdefault(canonical(found[place]), []).append(place)

    def ends_with(self, rules: Sequence[str]) -> bool:
        """Whether these are the last rules; if so, they are asked for."""
        start = len(self._found) - len(rules)
        if start < 0 or not same(self._found[start:], rules):
            return False
        for place, rule in enumerate(rules, start):
            self._places[canonical(rule)].remove(place)
        return True

    def append(self, restore: Restore, chain: Chain, rules: Sequence[str]) -> None:
        """Put these rules at the end, wherever they were."""
        self._delete(restore, chain, self._take(rules))
        for rule in rules:
            restore.append(*chain, rule)

    def put(self, restore: Restore, chain: Chain, rules: Sequence[str]) -> None:
        """See that these rules are there in this order, others between them or not."""
        places = self._take(rules)
        if len(places) == len(rules) and places == sorted(places):
            return
        self._delete(restore, chain, places)
        for rule in reversed(rules):
            restore.insert(*chain, rule)

    def left(self) -> list[str]:
        """The rules that nobody has asked for."""
        return [self._found[place] for place in sorted(place for places in self._places.values() for place in places)]

    def _take(self, rules: Sequence[str]) -> list[int]:
        found = (self._places.get(canonical(rule)) for rule in rules)
        return [places.pop() for places in found if places]

    def _delete(self, restore: Restore, chain: Chain, places: Sequence[int]) -> None:
        for place in places:
            restore.delete(*chain, self._found[place])
