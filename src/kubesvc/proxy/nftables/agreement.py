"""Are the rules in the kernel those that this proxy writes? Pure.

What the rules were made from is read out of them: the mark, the pods, the ranges. From that they are
made anew, listed by the same nft, and compared line by line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.layout import MARK
from kubesvc.proxy.rules import PodSource, RuleSettings

_BLOCK = re.compile(r"^  (chain|set) (\S+) \{\n(.*?)^  \}", re.MULTILINE | re.DOTALL)
_ELEMENTS = re.compile(r"elements = \{ (.*) \};?")
_MARK = re.compile(r"meta mark & (0x[0-9a-f]+) ==")
_INTERFACE = re.compile(r'iifname (?:!= )?"([^"]+)"')
_COUNTED = re.compile(r"counter packets \d+ bytes \d+")

Chains = Mapping[str, list[str]]


def chains_of(listing: str) -> dict[str, list[str]]:
    """The rules of each chain, one a line, a base chain's hook first; counters without their numbers."""
    found = {}
    for kind, name, body in _BLOCK.findall(listing):
        if kind == "chain":
            found[name] = [_COUNTED.sub("counter", line.strip()) for line in body.splitlines() if line.strip()]
    return found


def possible_settings(listing: str, family: Family) -> Iterator[RuleSettings]:
    """The settings that a table may have been made from."""
    ranges = {name: _ranges(body) for kind, name, body in _BLOCK.findall(listing) if kind == "set"}
    interface = _INTERFACE.search(listing)
    mark = _MARK.search(listing)
    for masquerade_all in (False, True):
        yield RuleSettings(
            family=family,
            pods=PodSource(interface=interface[1]) if interface else PodSource(cidrs=ranges.get("pods", ())),
            service_cidrs=ranges.get("service-cidrs", ()),
            nodeport_addresses=ranges.get("node-port-addresses", ()) if "@node-port-addresses" in listing else None,
            masquerade_all=masquerade_all,
            mark=int(mark[1], 16) if mark else 0,
        )


def differing_rules(live: Chains, wanted: Chains) -> list[str]:
    """What one has and the other has not, chain by chain; chains that nothing leads to may be left over."""
    found = []
    for name, rules in wanted.items():
        if name.startswith(MARK):
            continue
        there = live.get(name)
        if there is None:
            found.append(f"missing in the kernel: chain {name}")
        elif there != rules:
            found += [f"missing in the kernel: chain {name}: {rule}" for rule in _without(rules, there)]
            found += [f"too much in the kernel: chain {name}: {rule}" for rule in _without(there, rules)]
            if sorted(there) == sorted(rules):
                found.append(f"out of order in the kernel: chain {name}")
    return found


def _without(rules: Iterable[str], others: Iterable[str]) -> list[str]:
    left = list(others)
    found = []
    for rule in rules:
        if rule in left:
            left.remove(rule)
        else:
            found.append(rule)
    return found


def _ranges(body: str) -> tuple[str, ...]:
    found = _ELEMENTS.search(body)
    return tuple(item.strip() for item in found[1].split(",") if item.strip()) if found else ()
