"""The tracer's iptables engine: it reads the input of iptables-restore (or the output of a save).

It understands the matches and targets this backend writes, and raises ValueError at anything else.
"""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kubesvc.proxy.trace import Hook, Note, Packet, Stack, Verdict, in_range

_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
_HOOKS = {
    Hook.NAT_PREROUTING: ("nat", "PREROUTING"),
    Hook.NAT_OUTPUT: ("nat", "OUTPUT"),
    Hook.NAT_POSTROUTING: ("nat", "POSTROUTING"),
    Hook.FILTER_INPUT: ("filter", "INPUT"),
    Hook.FILTER_FORWARD: ("filter", "FORWARD"),
    Hook.FILTER_OUTPUT: ("filter", "OUTPUT"),
}
_WITHOUT_VALUE = {"--set", "--rcheck", "--reap", "--random-fully", "--rsource"}
_IGNORED = {"-m", "--comment", "--mode", "--seconds", "--name", "--mask", "--rsource", "--reject-with"}

Option = tuple[bool, str, str]
"""Whether it is negated, its name, its value ("" if it has none)."""


@dataclass(slots=True)
class Rule:
    """One rule: what has to match, and what then happens."""

    options: list[Option]
    target: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    recent: str = ""
    comment: str = ""


class IptablesEngine:
    """Tables as text, and the addresses of the node they are on."""

    def __init__(self, text: str, local: Iterable[str]) -> None:
        self.local_addresses = frozenset(local)
        self.notes: dict[Note, None] = {}
        self._hook, self._table = Hook.NAT_PREROUTING, "nat"
        self._chains: dict[tuple[str, str], list[Rule]] = {}
        table = ""
        for line in text.splitlines():
            words = shlex.split(line)
            match words:
                case [name] if name.startswith("*"):
                    table = name[1:]
                case ["-A", chain, *rest]:
                    self._chains.setdefault((table, chain), []).append(_parse(rest))
                case ["-I", chain, "1", *rest]:
                    self._chains.setdefault((table, chain), []).insert(0, _parse(rest))

    def enter(self, hook: Hook) -> Stack:
        self._hook = hook
        self._table, chain = _HOOKS[hook]
        return ((chain, 0),)

    def step(self, stack: Stack, packet: Packet) -> Iterator[tuple[float, Stack | Verdict, Packet]]:
        """Run the next rule that can match; the end of a chain returns to its caller."""
        chain, index = stack[-1]
        rules = self._chains.get((self._table, chain), [])
        chance = 0.0
        while index < len(rules):
            chance = self._chance(rules[index], packet)
            index += 1
            if chance:
                break
        if not chance:
            yield 1.0, stack[:-1], packet
            return
        onwards = (*stack[:-1], (chain, index))
        if chance < 1:
            yield 1 - chance, onwards, packet
        rule = rules[index - 1]
        self.notes[Note(self._hook, chain, f"-j {rule.target}", rule.comment)] = None
        yield chance, *self._act(rule, stack, onwards, packet)

    def _act(self, rule: Rule, stack: Stack, onwards: Stack, packet: Packet) -> tuple[Stack | Verdict, Packet]:
        if "--set" in rule.arguments:
            packet = packet._replace(memory=packet.memory | {(rule.recent, packet.source)})
        match rule.target:
            case "":
                return onwards, packet
            case "ACCEPT" | "DROP" | "REJECT":
                return Verdict(rule.target.lower()), packet
            case "RETURN":
                return stack[:-1], packet
            case "MARK":
                return onwards, packet._replace(mark=_marked(packet.mark, rule.arguments))
            case "MASQUERADE":
                return Verdict.ACCEPT, packet._replace(masqueraded=True)
            case "DNAT":
                address, _, port = rule.arguments["--to-destination"].rpartition(":")
                return Verdict.ACCEPT, packet._replace(destination=address.strip("[]"), port=int(port), translated=True)
            case chain:
                return (*onwards, (chain, 0)), packet

    def _chance(self, rule: Rule, packet: Packet) -> float:
        """How probable it is that the rule matches."""
        chance = 1.0
        for negated, name, value in rule.options:
            if name == "--probability":
                chance = float(value)
            elif self._holds(rule, name, value, packet) is negated:
                return 0.0
        return chance

    def _holds(self, rule: Rule, name: str, value: str, packet: Packet) -> bool:
        match name:
            case "-s":
                return in_range(packet.source, value)
            case "-d":
                return in_range(packet.destination, value)
            case "-p":
                return packet.protocol == _NUMBERS[value]
            case "--dport":
                return packet.port == int(value)
            case "-i":
                return packet.interface.startswith(value[:-1]) if value.endswith("+") else packet.interface == value
            case "--mark":
                wanted, _, mask = value.partition("/")
                return packet.mark & int(mask or "0xffffffff", 0) == int(wanted, 0)
            case "--ctstate":
                return "NEW" in value.split(",") or ("DNAT" in value.split(",") and packet.translated)
            case "--dst-type":
                return (packet.destination in self.local_addresses) is (value == "LOCAL")
            case "--src-type":
                return (packet.source in self.local_addresses) is (value == "LOCAL")
            case "--rcheck":
                return (rule.recent, packet.source) in packet.memory
        raise ValueError(f"match not understood: {name} {value}")


def parse_rule(line: str) -> Rule:
    """A line that begins with `-A CHAIN`."""
    return _parse(shlex.split(line)[2:])


def _parse(words: list[str]) -> Rule:
    rule = Rule([])
    negated = False
    rest = iter(words)
    for word in rest:
        if word == "!":
            negated = True
            continue
        value = "" if word in _WITHOUT_VALUE else next(rest)
        if word == "-j":
            rule.target = value
        elif word == "--name":
            rule.recent = value
        elif word == "--comment":
            rule.comment = value
        elif rule.target or word in ("--set", "--reap"):
            rule.arguments[word] = value
        elif word not in _IGNORED:
            rule.options.append((negated, word, value))
        negated = False
    return rule


def _marked(mark: int, arguments: dict[str, str]) -> int:
    if "--or-mark" in arguments:
        return mark | int(arguments["--or-mark"], 0)
    if "--xor-mark" in arguments:
        return mark ^ int(arguments["--xor-mark"], 0)
    value, _, mask = arguments["--set-xmark"].partition("/")
    return mark & ~int(mask, 0) ^ int(value, 0)
