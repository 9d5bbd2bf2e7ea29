"""Walk one packet through a ruleset without a kernel.

An engine knows one ruleset and answers what a hook's chains do to a packet; here the hooks are put
in the order in which a Linux host meets them. Where the rules choose at random, every choice is
followed: the result is the set of everything that can happen.
"""

from collections.abc import Iterable
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import NamedTuple, Protocol

from kubesvc.proxy.model import Target


class Verdict(StrEnum):
    """The end of a packet that starts a connection."""

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"


class Hook(StrEnum):
    """Where an engine is asked, in nft's words."""

    NAT_PREROUTING = "nat-prerouting"
    NAT_OUTPUT = "nat-output"
    NAT_POSTROUTING = "nat-postrouting"
    FILTER_INPUT = "filter-input"
    FILTER_FORWARD = "filter-forward"
    FILTER_OUTPUT = "filter-output"


Memory = frozenset[tuple[object, ...]]
"""What the ruleset remembers of clients with affinity."""

NOTHING: Memory = frozenset()


class Packet(NamedTuple):
    """The first packet of a connection, and what happened to it so far."""

    source: str
    destination: str
    port: int
    protocol: int = 6
    interface: str = ""
    mark: int = 0
    priority: int = 0
    translated: bool = False
    masqueraded: bool = False
    memory: Memory = NOTHING


class Outcome(NamedTuple):
    """One thing that can happen; `target` is None where nothing was translated."""

    verdict: Verdict
    target: Target | None = None
    masqueraded: bool = False
    memory: Memory = NOTHING


Frame = tuple[str, int]
Stack = tuple[Frame, ...]
"""Chains that are being walked, the innermost last, each with the index of its next rule."""


class Note(NamedTuple):
    """One thing that happened on the way: a look-up with its key and what was found, or a rule that led on."""

    hook: Hook
    chain: str
    what: str
    key: str = ""
    found: str = ""


class Engine(Protocol):
    """A ruleset that can be asked, rule by rule, what it does."""

    local_addresses: frozenset[str]
    notes: dict[Note, None]
    """What happened so far, each thing once, in order."""

    def enter(self, hook: Hook) -> Stack:
        """Where a packet begins at a hook."""
        ...

    def step(self, stack: Stack, packet: Packet) -> Iterable[tuple[float, Stack | Verdict, Packet]]:
        """What the next rule does: every possibility with its probability; an empty stack has accepted."""
        ...


def trace(engine: Engine, packet: Packet) -> frozenset[Outcome]:
    """Everything that can happen to a packet on the engine's node."""
    return frozenset(weigh(engine, packet))


def weigh(engine: Engine, packet: Packet) -> dict[Outcome, float]:
    """The same, with the probability of each.

    A packet whose source is one of the node's addresses comes from the node itself.
    """
    begun: Weights = {(Verdict.ACCEPT, packet): 1.0}
    if packet.source in engine.local_addresses:
        hooks = [Hook.NAT_OUTPUT, Hook.FILTER_OUTPUT, Hook.NAT_POSTROUTING]
        return _finish(_walk(engine, hooks, begun))
    arrived = _walk(engine, [Hook.NAT_PREROUTING], begun)
    here = {step: weight for step, weight in arrived.items() if step[1].destination in engine.local_addresses}
    onwards = {step: weight for step, weight in arrived.items() if step not in here}
    return _finish(
        _walk(engine, [Hook.FILTER_INPUT], here) | _walk(engine, [Hook.FILTER_FORWARD, Hook.NAT_POSTROUTING], onwards)
    )


Weights = dict[tuple[Verdict, Packet], float]


def _walk(engine: Engine, hooks: Iterable[Hook], steps: Weights) -> Weights:
    current = steps
    for hook in hooks:
        following: Weights = {}
        for (verdict, packet), weight in current.items():
            ends = _at(engine, hook, packet) if verdict is Verdict.ACCEPT else {(verdict, packet): 1.0}
            for end, share in ends.items():
                following[end] = following.get(end, 0.0) + weight * share
        current = following
    return current


def _at(engine: Engine, hook: Hook, packet: Packet) -> Weights:
    """All ends of a hook's chains. States that are reached in several ways are walked once where possible."""
    ends: Weights = {}
    waiting: dict[tuple[Stack, Packet], float] = {(engine.enter(hook), packet): 1.0}
    while waiting:
        state = next(iter(waiting))
        weight = waiting.pop(state)
        if not state[0]:
            ends[Verdict.ACCEPT, state[1]] = ends.get((Verdict.ACCEPT, state[1]), 0.0) + weight
            continue
        for share, stack, after in engine.step(*state):
            if isinstance(stack, Verdict):
                ends[stack, after] = ends.get((stack, after), 0.0) + weight * share
            else:
                waiting[stack, after] = waiting.get((stack, after), 0.0) + weight * share
    return ends


def _finish(steps: Weights) -> dict[Outcome, float]:
    outcomes: dict[Outcome, float] = {}
    for (verdict, packet), weight in steps.items():
        outcome = Outcome(verdict)
        if verdict is Verdict.ACCEPT:
            target = Target(packet.destination, packet.port) if packet.translated else None
            outcome = Outcome(verdict, target, packet.masqueraded, packet.memory)
        outcomes[outcome] = outcomes.get(outcome, 0.0) + weight
    return outcomes


def in_range(address: str, cidr: str) -> bool:
    """Whether an address lies in a CIDR or is the address that stands in its place."""
    parsed, network = ip_address(address), ip_network(cidr, strict=False)
    return parsed.version == network.version and parsed in network
