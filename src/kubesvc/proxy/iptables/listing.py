"""What iptables-save lists: rules to trace, and whether a Service's chains are those of its plan. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from kubesvc.proxy.iptables import names
from kubesvc.proxy.iptables.compile import compile_port
from kubesvc.proxy.iptables.trace import Rule, parse_rule
from kubesvc.proxy.model import Family, PortPlan, ServicePortName
from kubesvc.proxy.rules import PodSource, RuleSettings

_COUNTED = re.compile(r"\[\d+:\d+\] (-A .*)")
_OURS = "KUBE-"
_SOURCES = ("-s", "-i")
NO_SOURCE = ("", "")
_MARKS = ("--or-mark", "--xor-mark", "--set-xmark")

Place = tuple[str, str]
"""A table and a chain."""


class Listing:
    """Our chains, and the rules of the built-in ones that lead to them; what others have is left out."""

    def __init__(self, lines_by_table: Mapping[str, Iterable[str]]) -> None:
        self.rules: dict[Place, list[Rule]] = {}
        self._text: list[str] = []
        for table, lines in lines_by_table.items():
            self._text.append(f"*{table}")
            for line in lines:
                found = _COUNTED.fullmatch(line)
                text = found[1] if found else line
                words = text.split()
                if words[:1] == ["-A"] and (words[1].startswith(_OURS) or _leads_to_ours(words)):
                    self._text.append(text)
                    self.rules.setdefault((table, words[1]), []).append(parse_rule(text))

    @property
    def text(self) -> str:
        """What the tracer's engine reads."""
        return "\n".join(self._text)

    def differences(self, plans: Mapping[ServicePortName, PortPlan]) -> list[str]:
        """Chains and destinations that the plans ask for and the kernel lacks, and the other way round.

        Compared is where rules lead and whose packets are marked for masquerading. What depends on the
        node's settings is read from all the rules there are: one Service's must not differ from the others'.
        """
        found: list[str] = self._marking()
        for plan in plans.values():
            wanted = compile_port(plan, self._settings(plan.service.family))
            for chain, lines in wanted.chains.items():
                found += self._chain(chain, [parse_rule(f"-A {chain} {line}") for line in lines])
            for (table, chain), lines in wanted.entries.items():
                found += self._entries(table, chain, plan, [parse_rule(f"-A {chain} {line}") for line in lines])
        return found

    def _settings(self, family: Family) -> RuleSettings:
        """What the rules of most Services were made from, as far as their masquerading tells."""
        pods: Counter[tuple[str, str]] = Counter()
        marked: Counter[bool] = Counter()
        for (_, chain), rules in self.rules.items():
            if chain.startswith(("KUBE-SVC-", "KUBE-SVL-")):
                sources = [_source(rule) for rule in rules if rule.target == names.MARK_MASQ]
                marked.update(source == NO_SOURCE for source in sources)
                pods.update(sources)
            elif chain.startswith("KUBE-EXT-"):
                pods.update(_source(rule) for rule in rules)
        del pods[NO_SOURCE]
        name, value = max(pods, key=lambda each: pods[each], default=NO_SOURCE)
        known = PodSource((value,)) if name == "-s" else PodSource(interface=value.replace("+", "*"))
        return RuleSettings(family, pods=known, masquerade_all=marked[True] > marked[False])

    def _marking(self) -> list[str]:
        """Whether what marks packets and what masquerades the marked ones is there, and means the same mark."""
        marks = {_mark(rule) for rule in self.rules.get(("nat", names.MARK_MASQ), ())} - {0}
        masqueraded = self.rules.get(("nat", names.POSTROUTING), ())
        found = [] if marks else [f"missing in the kernel: -A {names.MARK_MASQ} -j MARK"]
        if not any(rule.target == "MASQUERADE" for rule in masqueraded):
            found.append(f"missing in the kernel: -A {names.POSTROUTING} -j MASQUERADE")
        elif marks and not any(_mark(rule) in marks for rule in masqueraded):
            found.append(f"wrong in the kernel: {names.POSTROUTING} clears another mark than {names.MARK_MASQ} sets")
        return found

    def _chain(self, chain: str, wanted: Iterable[Rule]) -> list[str]:
        live = {_destination(rule) for rule in self.rules.get(("nat", chain), ())} - {""}
        planned = {_destination(rule) for rule in wanted} - {""}
        missing = [f"missing in the kernel: -A {chain} {where}" for where in sorted(planned - live)]
        return missing + [f"too much in the kernel: -A {chain} {where}" for where in sorted(live - planned)]

    def _entries(self, table: str, chain: str, plan: PortPlan, wanted: Iterable[Rule]) -> list[str]:
        live = {_portal(rule, plan.service.family) for rule in self.rules.get((table, chain), ())}
        return [
            f"missing in the kernel: -t {table} -A {chain} {' '.join(portal)}".rstrip()
            for portal in sorted({_portal(rule, plan.service.family) for rule in wanted} - live)
        ]


def _leads_to_ours(words: list[str]) -> bool:
    return "-j" in words and words[words.index("-j") + 1].startswith(_OURS)


def _destination(rule: Rule) -> str:
    """Where a rule leads, and for marks whose packets get one; "" for a rule that leads nowhere."""
    if not rule.target:
        return ""
    marking = rule.target == names.MARK_MASQ
    whose = [f"{'! ' * negated}{name} {value}" for negated, name, value in rule.options if marking and name in _SOURCES]
    return " ".join([*whose, "-j", rule.target, rule.arguments.get("--to-destination", "")]).rstrip()


def _source(rule: Rule) -> tuple[str, str]:
    """How a rule tells pods from others; nothing if it does not."""
    return next(((name, value) for _, name, value in rule.options if name in _SOURCES), NO_SOURCE)


def _mark(rule: Rule) -> int:
    """The mark that a rule sets or clears; 0 for any other rule."""
    if rule.target != "MARK":
        return 0
    text = next((rule.arguments[name] for name in _MARKS if name in rule.arguments), "0")
    return int(text.partition("/")[0], 0)


def _portal(rule: Rule, family: Family) -> tuple[str, ...]:
    """What tells one rule of a shared chain from another: address, port, and where it leads."""
    bits = "/128" if family is Family.IPV6 else "/32"
    options = [
        f"{name} {value.removesuffix(bits)}" for _, name, value in rule.options if name in ("-d", "-p", "--dport")
    ]
    return (*sorted(options), f"-j {rule.target}")
