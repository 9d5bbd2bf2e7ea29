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


Step = tuple[Verdict, Packet]


class Engine(Protocol):
    """A ruleset that can be asked what its chains at a hook do."""

    local_addresses: frozenset[str]

    def at(self, hook: Hook, packet: Packet) -> Iterable[Step]:
        """Everything that the hook's chains can do to the packet."""
        ...


def trace(engine: Engine, packet: Packet) -> frozenset[Outcome]:
    """Everything that can happen to a packet on the engine's node.

    A packet whose source is one of the node's addresses comes from the node itself.
    """
    if packet.source in engine.local_addresses:
        hooks = [Hook.NAT_OUTPUT, Hook.FILTER_OUTPUT, Hook.NAT_POSTROUTING]
        return _finish(_walk(engine, hooks, [(Verdict.ACCEPT, packet)]))
    arrived = _walk(engine, [Hook.NAT_PREROUTING], [(Verdict.ACCEPT, packet)])
    here = [step for step in arrived if step[1].destination in engine.local_addresses]
    onwards = [step for step in arrived if step not in here]
    return _finish(
        _walk(engine, [Hook.FILTER_INPUT], here) | _walk(engine, [Hook.FILTER_FORWARD, Hook.NAT_POSTROUTING], onwards)
    )


def _walk(engine: Engine, hooks: Iterable[Hook], steps: Iterable[Step]) -> set[Step]:
    current = set(steps)
    for hook in hooks:
        following: set[Step] = set()
        for verdict, packet in current:
            if verdict is Verdict.ACCEPT:
                following.update(engine.at(hook, packet))
            else:
                following.add((verdict, packet))
        current = following
    return current


def _finish(steps: Iterable[Step]) -> frozenset[Outcome]:
    return frozenset(
        Outcome(
            verdict,
            Target(packet.destination, packet.port) if packet.translated else None,
            packet.masqueraded,
            packet.memory,
        )
        if verdict is Verdict.ACCEPT
        else Outcome(verdict)
        for verdict, packet in steps
    )


def in_range(address: str, cidr: str) -> bool:
    """Whether an address lies in a CIDR or is the address that stands in its place."""
    parsed, network = ip_address(address), ip_network(cidr, strict=False)
    return parsed.version == network.version and parsed in network
