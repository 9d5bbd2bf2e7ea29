"""The tracer's nftables engine: it reads the very text and elements that the kernel is given.

It understands the part of nft's language that `layout.py` and `sticky.py` write, no more, and raises
ValueError at anything else, so that a new kind of rule cannot be traced wrongly in silence.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product

from kubesvc.proxy.model import Target
from kubesvc.proxy.nftables.elements import ElementKey, Value
from kubesvc.proxy.nftables.jhash import hash_of
from kubesvc.proxy.trace import Hook, Note, Packet, Stack, Verdict, in_range

_BLOCK = re.compile(r"^  (chain|set|map) (\S+) \{\n(.*?)^  \}", re.MULTILINE | re.DOTALL)
_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}

Item = int | str


class NftEngine:
    """One table as text, the elements of its maps, and the addresses of the node it is on."""

    def __init__(self, text: str, elements: Iterable[tuple[ElementKey, Value]], local: Iterable[str]) -> None:
        self.local_addresses = frozenset(local)
        self.notes: dict[Note, None] = {}
        self._hook, self._chain = Hook.NAT_PREROUTING, ""
        self._chains: dict[str, list[list[str]]] = {}
        self._ranges: dict[str, list[str]] = {}
        self._maps: dict[str, dict[tuple[Item, ...], Value]] = {}
        for kind, name, body in _BLOCK.findall(text):
            lines = [line.strip() for line in body.splitlines()]
            if kind == "chain":
                self._chains[name] = [_tokens(line) for line in lines if line and not line.startswith("type ")]
            else:
                self._ranges[name] = [item for line in lines for item in _static_elements(line)]
        for key, value in elements:
            self._maps.setdefault(str(key[0]), {})[key[1:]] = value

    def enter(self, hook: Hook) -> Stack:
        self._hook = hook
        return ((hook.value, 0),) if hook.value in self._chains else ()

    def step(self, stack: Stack, packet: Packet) -> Iterator[tuple[float, Stack | Verdict, Packet]]:
        """Run one rule; the end of a chain returns to its caller, that of the first one accepts."""
        chain, index = stack[-1]
        self._chain = chain
        if index >= len(self._chains[chain]):
            yield 1.0, stack[:-1], packet
            return
        onwards = (*stack[:-1], (chain, index + 1))
        choices = _Rule(self, self._chains[chain][index]).run(packet)
        for (ending, after), count in Counter(choices).items():
            share = count / len(choices)
            if ending not in ("", "accept"):
                self.note(ending)
            match ending.split():
                case []:
                    yield share, onwards, after
                case ["goto", name]:
                    yield share, (*stack[:-1], (name, 0)), after
                case ["jump", name]:
                    yield share, (*onwards, (name, 0)), after
                case ["return"]:
                    yield share, stack[:-1], after
                case [verdict]:
                    yield share, Verdict(verdict), after

    def note(self, what: str, key: str = "", found: str = "") -> None:
        """Remember what the rule being run does."""
        self.notes[Note(self._hook, self._chain, what, key, found)] = None

    def contains(self, name: str, key: tuple[Item, ...]) -> bool:
        """Whether a set has the key, exactly or by a range in its last place."""
        found = self._member(name, key)
        if found:
            self.note(f"@{name}", _say(key), found)
        return bool(found)

    def _member(self, name: str, key: tuple[Item, ...]) -> str:
        """The element of a set that holds the key; "" if none does."""
        for cidr in self._ranges.get(name, ()):
            if in_range(str(key[-1]), cidr):
                return cidr
        found = self._maps.get(name, {})
        if key in found:
            return "present"
        for other in found:
            if other[:-1] == key[:-1] and "/" in str(other[-1]) and in_range(str(key[-1]), str(other[-1])):
                return str(other[-1])
        return ""

    def look_up(self, name: str, key: tuple[Item, ...], packet: Packet) -> Value:
        """The value of a map's key; None if there is none."""
        if name == "affinity":
            value: Value = next((int(str(entry[-1])) for entry in packet.memory if entry[:-1] == key), None)
        else:
            value = self._maps.get(name, {}).get(key)
        self.note(f"@{name}", _say(key), "nothing" if value is None else _say((value,)))
        return value


def _say(items: Iterable[Value]) -> str:
    """A key or a value as nft writes it; numbers from 65536 on are words."""
    return " . ".join(
        f"{item[0]}:{item[1]}"
        if isinstance(item, tuple)
        else f"{item >> 16:x}:{item & 0xFFFF:x}"
        if isinstance(item, int) and item > 0xFFFF
        else str(item)
        for item in items
    )


class _Rule:
    """One rule, read from left to right."""

    def __init__(self, engine: NftEngine, tokens: list[str]) -> None:
        self._engine = engine
        self._tokens = tokens

    def run(self, packet: Packet) -> list[tuple[str, Packet]]:
        """How the rule ends ("" goes on with the next one) and the packet after it, for every choice."""
        return list(self._run(0, packet))

    def _run(self, at: int, packet: Packet) -> Iterator[tuple[str, Packet]]:
        rest = self._tokens[at:]
        match rest:
            case []:
                yield "", packet
            case ["jump" | "goto", name, *_]:
                yield f"{rest[0]} {name}", packet
            case ["drop" | "accept" | "return", *_]:
                yield rest[0], packet
            case ["reject", *_]:
                yield "reject", packet
            case ["masquerade", *_]:
                self._engine.note("masquerade")
                yield "accept", packet._replace(masqueraded=True)
            case ["meta", "priority" | "mark" as field, "set", *_]:
                yield from self._set(at + 3, field, packet)
            case ["dnat", _, "to", *_]:
                yield from self._dnat(at + 3, packet)
            case ["update" | "delete" as operation, _, "{", *_]:
                yield from self._memory(at + 3, packet, forget=operation == "delete")
            case _:
                yield from self._match(at, packet)

    def _set(self, at: int, field: str, packet: Packet) -> Iterator[tuple[str, Packet]]:
        for key, after in self._expression(at, packet):
            value: Value = key[0]
            if self._tokens[after : after + 1] == ["map"]:
                value = self._engine.look_up(self._tokens[after + 1][1:], key, packet)
                after += 2
            if value is None:
                yield "", packet
            else:
                changed = (
                    packet._replace(priority=int(str(value)))
                    if field == "priority"
                    else packet._replace(mark=int(str(value)))
                )
                yield from self._run(after, changed)

    def _dnat(self, at: int, packet: Packet) -> Iterator[tuple[str, Packet]]:
        for key, after in self._expression(at, packet):
            target = self._engine.look_up(self._tokens[after + 1][1:], key, packet)
            if isinstance(target, Target):
                yield "accept", packet._replace(destination=target.ip, port=target.port, translated=True)
            else:
                yield "", packet

    def _memory(self, at: int, packet: Packet, *, forget: bool) -> Iterator[tuple[str, Packet]]:
        """An update keeps the value of an element that exists, as the kernel's does."""
        for key, after in self._expression(at, packet):
            while self._tokens[after] != ":":
                after += 1
            for value, end in self._expression(after + 1, packet):
                known = {entry for entry in packet.memory if entry[:-1] == key}
                memory = packet.memory - known if forget else packet.memory | (known or {(*key, value[0])})
                yield from self._run(end + 1, packet._replace(memory=frozenset(memory)))

    def _match(self, at: int, packet: Packet) -> Iterator[tuple[str, Packet]]:
        for key, after in self._expression(at, packet):
            operator, end = self._tokens[after], after + 2
            operand = self._tokens[after + 1] if after + 1 < len(self._tokens) else ""
            if operator == "vmap":
                verdict, _ = self._verdict(after + 1, key, packet)
                yield (verdict, packet) if verdict else ("", packet)
                continue
            negated = operator == "!="
            if operator not in ("!=", "=="):
                operand, end = operator, after + 1
            holds, end = self._holds(key, operand, end)
            if holds is negated:
                yield "", packet
            else:
                yield from self._run(end, packet)

    def _holds(self, key: tuple[Item, ...], operand: str, end: int) -> tuple[bool, int]:
        if operand == "{":
            close = self._tokens.index("}", end)
            options = {_literal(token) for token in self._tokens[end:close] if token != ","}
            return key[0] in options, close + 1
        if operand.startswith("@"):
            return self._engine.contains(operand[1:], key), end
        if isinstance(key[0], str) and "/" in operand:
            return in_range(key[0], operand), end
        if isinstance(key[0], str) and operand.endswith('*"'):
            return key[0].startswith(operand.strip('"*')), end
        return key[0] == _literal(operand), end

    def _verdict(self, at: int, key: tuple[Item, ...], packet: Packet) -> tuple[str, int]:
        if self._tokens[at].startswith("@"):
            found = self._engine.look_up(self._tokens[at][1:], key, packet)
            return (f"goto {found}" if found is not None else ""), at + 1
        close = self._tokens.index("}", at)
        options = " ".join(self._tokens[at + 1 : close]).split(" , ")
        table = dict(option.split(" : ", 1) for option in options)
        return next((table[text] for text in table if _literal(text) == key[0]), ""), close + 1

    def _expression(self, at: int, packet: Packet) -> Iterator[tuple[tuple[Item, ...], int]]:
        """All values of a concatenation, and where it ends."""
        parts: list[list[Item]] = []
        while True:
            values, at = self._primary(at, packet)
            parts.append(values)
            if self._tokens[at : at + 1] != ["."]:
                break
            at += 1
        for choice in product(*parts):
            yield choice, at

    def _primary(self, at: int, packet: Packet) -> tuple[list[Item], int]:
        match self._tokens[at : at + 7]:
            case ["meta", "priority" | "mark" as field, *operation]:
                value = packet.priority if field == "priority" else packet.mark
                if operation and operation[0] in ("&", "|", "^"):
                    return [_bits(value, operation[0], int(operation[1], 0))], at + 4
                return [value], at + 2
            case ["numgen", "random", "mod", size, *_]:
                return list(range(int(size))), at + 4
            case ["jhash", _, "saddr", "mod", modulus, "seed", seed]:
                return [hash_of(packet.source, modulus=int(modulus), seed=int(seed, 0))], at + 7
            case ["iifname", *_]:
                return [packet.interface], at + 1
            case [literal, *_] if re.fullmatch(r"0x[0-9a-f]+|\d+", literal):
                return [int(literal, 0)], at + 1
        return [self._fact(at, packet)], at + (3 if self._tokens[at] == "fib" else 2)

    def _fact(self, at: int, packet: Packet) -> Item:
        match self._tokens[at : at + 3]:
            case ["ip" | "ip6", "saddr", *_]:
                return packet.source
            case ["ip" | "ip6", "daddr", *_]:
                return packet.destination
            case ["th", "dport", *_]:
                return packet.port
            case ["meta", "l4proto", *_]:
                return packet.protocol
            case ["fib", "saddr", "type"]:
                return "local" if packet.source in self._engine.local_addresses else "other"
            case ["fib", "daddr", "type"]:
                return "local" if packet.destination in self._engine.local_addresses else "other"
            case ["ct", "status", *_]:
                return "dnat" if packet.translated else ""
        raise ValueError(f"not understood: {' '.join(self._tokens)!r} at {self._tokens[at]!r}")


def _tokens(rule: str) -> list[str]:
    return re.findall(r'"[^"]*"|[^\s,]+|,', rule)


def _static_elements(line: str) -> list[str]:
    found = re.fullmatch(r"elements = \{ (.*) \};", line)
    return found[1].split(", ") if found else []


def _literal(text: str) -> Item:
    if text in _NUMBERS:
        return _NUMBERS[text]
    if re.fullmatch(r"0x[0-9a-f]+|\d+", text):
        return int(text, 0)
    return text.strip('"')


def _bits(value: int, operator: str, mask: int) -> int:
    return {"&": value & mask, "|": value | mask, "^": value ^ mask}[operator]
