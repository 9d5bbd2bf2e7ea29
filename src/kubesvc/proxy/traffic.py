"""Bytes per Service and per endpoint: what the kernel counted, taken in look by look. Pure.

The kernel's elements say whom a connection asked for and who answers (`traffic_layout.py`). Whose that is
the plans say when somebody looks, so that nothing has to be written when Services change; what nobody
here serves, such as another program's translations, is left out.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from ipaddress import ip_address
from typing import NamedTuple

from kubesvc.proxy.model import PROTOCOL_NUMBERS, PortPlan, ServicePortName, Target

IDLE_SECONDS = 3600
"""For how long the kernel keeps the element of a connection's ends when no packet comes."""


class Direction(StrEnum):
    """Which way bytes went: from clients to endpoints, or back."""

    REQUEST = "request"
    RESPONSE = "response"


class Ends(NamedTuple):
    """Whom connections asked for, and who answers (None where that is not counted)."""

    address: str
    protocol: int
    port: int
    endpoint: Target | None


ServiceBytes = dict[tuple[ServicePortName, Direction], int]
EndpointBytes = dict[tuple[ServicePortName, Target, Direction], int]


class Owners:
    """Whose an address and port is: a cluster address, an external one, or a node port at one of the node's."""

    def __init__(self, plans: Mapping[ServicePortName, PortPlan], local: Iterable[str]) -> None:
        self._local = frozenset(local)
        self._by_address: dict[tuple[str, int, int], ServicePortName] = {}
        self._by_node_port: dict[tuple[int, int], ServicePortName] = {}
        for name, plan in plans.items():
            protocol, service = PROTOCOL_NUMBERS[name.protocol], plan.service
            for address in service.addresses:
                self._by_address[address, protocol, service.port] = name
            if service.node_port:
                self._by_node_port[protocol, service.node_port] = name

    def find(self, ends: Ends) -> ServicePortName | None:
        """The port that was asked for; None if it is not one of ours."""
        found = self._by_address.get(ends[:3])
        if found is None and (ends.address in self._local or ip_address(ends.address).is_loopback):
            return self._by_node_port.get((ends.protocol, ends.port))
        return found


class Gains:
    """How much counters gained since they were last seen.

    A listing may miss elements while packets add others and the kernel moves its table about. So the
    last number of one that is missing is kept for as long as it may still be there.
    """

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}
        self._older: dict[bytes, int] = {}

    def take(self, found: Mapping[bytes, int]) -> dict[bytes, int]:
        """Gains by key, of those that gained anything; a smaller number than before has begun anew."""
        gained = {}
        for key, number in found.items():
            last = self._last.get(key) or self._older.get(key, 0)
            if number != last:
                gained[key] = number - last if number > last else number
        self._last.update(found)
        return gained

    def age(self) -> None:
        """Forget what was not seen since the last call."""
        self._older, self._last = self._last, {}


class Traffic:
    """One family's sums. They only grow; those of ports that are gone are dropped."""

    def __init__(self) -> None:
        self.services: ServiceBytes = {}
        self.endpoints: EndpointBytes = {}
        """Of endpoints that have carried anything."""
        self._gains = {direction: Gains() for direction in Direction}
        self._aged = float("-inf")

    def update(
        self,
        found: Mapping[Direction, Mapping[bytes, int]],
        parse: Callable[[bytes], Ends],
        plans: Mapping[ServicePortName, PortPlan],
        *,
        local: Iterable[str],
        now: float,
    ) -> None:
        """Take in the counters as they are now, by keys that `parse` understands; `now` in seconds."""
        if now - self._aged >= IDLE_SECONDS:
            self._aged = now
            for gains in self._gains.values():
                gains.age()
        owners = Owners(plans, local)
        services = {(name, way): self.services.get((name, way), 0) for name in plans for way in Direction}
        endpoints = {key: number for key, number in self.endpoints.items() if _is_planned(plans.get(key[0]), key[1])}
        for way, numbers in found.items():
            for key, gained in self._gains[way].take(numbers).items():
                ends = parse(key)
                owner = owners.find(ends)
                if owner is None:
                    continue
                services[owner, way] += gained
                if ends.endpoint is not None:
                    to = (owner, ends.endpoint, way)
                    endpoints[to] = endpoints.get(to, self.endpoints.get(to, 0)) + gained
        self.services, self.endpoints = services, endpoints


def _is_planned(plan: PortPlan | None, target: Target) -> bool:
    return plan is not None and (target in plan.cluster or target in plan.local)
