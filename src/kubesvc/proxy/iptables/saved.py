"""What iptables-save lists, by chain, and when two rules are the same one. Pure."""

import re
from collections.abc import Iterable, Sequence

from kubesvc.proxy.iptables.compile import Chain
from kubesvc.proxy.iptables.restore import OWNED_PREFIXES
from kubesvc.proxy.iptables.static import SHARED

_OPTION = re.compile(r'(?:! )?(?<!\S)--?[A-Za-z][\w-]*(?: (?![-!] ?)(?:"[^"]*"|\S+))?')
_SHARED = frozenset(SHARED)
_ANYWHERE = {"-s 0.0.0.0/0", "-d 0.0.0.0/0", "-s ::/0", "-d ::/0"}


class Saved:
    """Our chains with their rules, and from the built-in chains the rules that lead to ours; fed with lines."""

    def __init__(self) -> None:
        self.chains: dict[Chain, list[str]] = {}
        """Rules without `-A CHAIN`, in the kernel's order."""
        self.jumps: dict[Chain, list[str]] = {}

    def take(self, table: str, lines: Iterable[str]) -> None:
        """Take in some lines of a table; a chain is declared before its rules."""
        chains, jumps = self.chains, self.jumps
        for line in lines:
            if line.startswith("-A "):
                _, name, rule = line.split(" ", 2)
                rules = chains.get((table, name))
                if rules is not None:
                    rules.append(rule)
                elif "-j KUBE-" in rule:
                    jumps.setdefault((table, name), []).append(rule)
            elif line.startswith(":KUBE-"):
                chain = (table, line[1:].split(" ", 1)[0])
                if chain in _SHARED or (table == "nat" and chain[1].startswith(OWNED_PREFIXES)):
                    chains[chain] = []


def same(found: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether these are the same rules in the same order."""
    return len(found) == len(wanted) and all(
        here == there or canonical(here) == canonical(there) for here, there in zip(found, wanted, strict=True)
    )


def canonical(rule: str) -> str:
    """One text for all the ways in which programs of different versions write a rule.

    They differ in the order of matches, in quotes, and in whether they say what goes without saying:
    the loading of a match, the mask of one address, the range of all addresses.
    """
    options = {_plain(option) for option in _OPTION.findall(rule) if not option.startswith("-m ")}
    return " ".join(sorted(options - _ANYWHERE))


def _plain(option: str) -> str:
    if option.startswith("--comment "):
        return option.replace('"', "")
    if option.startswith(("-s ", "-d ", "! -s ", "! -d ")):
        return option.removesuffix("/32").removesuffix("/128")
    return option
