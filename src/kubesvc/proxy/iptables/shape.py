"""Are the chains that iptables-save shows still ours? Compared is what both sides write in the same words. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from kubesvc.proxy.iptables.compile import Chain, PortRules
from kubesvc.proxy.iptables.restore import OWNED_PREFIXES
from kubesvc.proxy.iptables.static import JUMPS, SHARED

_COMMENT = re.compile(r'--comment (?:"[^"]*"|\S+)')
_WORD = re.compile(r"(?:! )?(?<!\S)(?:-[sdij]|--dport|--to-destination|--ctstate) \S+")

Shape = Counter[tuple[str, str, str]]
"""Rules by table, chain and what they match and do, without order and without what is written in many ways."""


def is_as_planned(
    rules: Iterable[PortRules], fixed: Mapping[Chain, tuple[str, ...]], saved: Mapping[str, Iterable[str]]
) -> bool:
    """Whether our chains and the jumps into them are there, with nothing missing, changed or added."""
    lines = {table: tuple(found) for table, found in saved.items()}
    if not all(_has_jump(lines.get(table, ()), chain, rule) for table, chain, rule in JUMPS):
        return False
    return Counter(_saved(lines)) == Counter(_planned(rules, fixed))


def _planned(rules: Iterable[PortRules], fixed: Mapping[Chain, tuple[str, ...]]) -> Iterator[tuple[str, str, str]]:
    for port in rules:
        for chain, texts in port.chains.items():
            yield from (("nat", chain, _say(text)) for text in texts)
        for (table, chain), texts in port.entries.items():
            yield from ((table, chain, _say(text)) for text in texts)
    for (table, chain), texts in fixed.items():
        yield from ((table, chain, _say(text)) for text in texts)


def _saved(lines: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str, str]]:
    shared = set(SHARED)
    for table, found in lines.items():
        for line in found:
            if line.startswith("-A KUBE-"):
                _, chain, text = f"{line} ".split(" ", 2)
                if (table, chain) in shared or (table == "nat" and chain.startswith(OWNED_PREFIXES)):
                    yield table, chain, _say(text)


def _say(rule: str) -> str:
    words = _WORD.findall(_COMMENT.sub("", rule))
    return " ".join(sorted(word.removesuffix("/32").removesuffix("/128") for word in words))


def _has_jump(lines: Iterable[str], chain: str, rule: str) -> bool:
    start, end = f"-A {chain} ", f"-j {rule.split()[-1]}"
    return any(line.startswith(start) and line.endswith(end) for line in lines)
