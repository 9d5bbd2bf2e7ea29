"""Who gets an address and port, or a node port, that several Services claim.

The API keeps no two Services from naming one external or load-balancer address, nor an external one
from being somebody's cluster IP; and what its allocators keep apart may still come twice from an
old or a broken server. A cluster IP goes before any other claim, then the oldest Service, among
equals the first by namespace and name: every node, both backends and every restart decide the same.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from kubesvc.api.resources import Key
from kubesvc.proxy.model import ServicePort

NEVER = "~"
"""A time later than every timestamp, for objects that have none."""


class Frontend(NamedTuple):
    """What packets are sent to; without an address, a port of the node itself."""

    address: str
    protocol: str
    port: int

    def __str__(self) -> str:
        return f"{self.address or 'node'} port {self.port}/{self.protocol}"


class Claim(NamedTuple):
    """Claims come in the order in which they go first."""

    external: bool
    created: str
    key: Key


class Claims:
    """All claims of one family. Nearly every frontend has just one: only the others cost a list."""

    def __init__(self) -> None:
        self._first: dict[Frontend, Claim] = {}
        self._waiting: dict[Frontend, list[Claim]] = {}

    @property
    def contested(self) -> bool:
        """Whether there is anything that more than one Service claims."""
        return bool(self._waiting)

    def set(self, key: Key, before: Collection[Frontend], after: Mapping[Frontend, Claim]) -> set[Key]:
        """A Service's claims become `after` where they were `before`; the other Services whom that may concern."""
        affected: set[Key] = set()
        for frontend in before:
            if frontend not in after:
                affected.update(self._put(frontend, self._others(frontend, key)))
        for frontend, claim in after.items():
            if self._first.get(frontend) != claim:
                affected.update(self._put(frontend, [*self._others(frontend, key), claim]))
        return affected - {key}

    def lost(self, key: Key, frontends: Iterable[Frontend]) -> dict[Frontend, Key]:
        """Which of these a Service claims in vain, and who has it."""
        return {
            frontend: self._first[frontend].key
            for frontend in frontends
            if frontend in self._waiting and self._first[frontend].key != key
        }

    def _others(self, frontend: Frontend, key: Key) -> list[Claim]:
        first = self._first.get(frontend)
        claims = [first, *self._waiting.get(frontend, ())] if first else []
        return [claim for claim in claims if claim.key != key]

    def _put(self, frontend: Frontend, claims: list[Claim]) -> Iterable[Key]:
        """Keep these claims; who made them."""
        self._waiting.pop(frontend, None)
        self._first.pop(frontend, None)
        if claims:
            self._first[frontend], *waiting = sorted(claims)
            if waiting:
                self._waiting[frontend] = waiting
        return [claim.key for claim in claims]


def claims_of(key: Key, created: str | None, ports: Iterable[ServicePort]) -> dict[Frontend, Claim]:
    """Everything that these ports of a Service claim."""
    inside, outside = (Claim(external, created or NEVER, key) for external in (False, True))
    claims: dict[Frontend, Claim] = {}
    for port in ports:
        claims.update(dict.fromkeys(_outside(port), outside))
        claims[_inside(port)] = inside
    return claims


def without(port: ServicePort, lost: Collection[Frontend]) -> ServicePort | None:
    """The port without what others have; nothing of it is served where somebody else has its cluster IP."""
    if _inside(port) in lost:
        return None
    gone = {frontend.address for frontend in _outside(port) if frontend in lost}
    if not gone:
        return port
    return replace(
        port,
        node_port=0 if "" in gone else port.node_port,
        external_ips=tuple(ip for ip in port.external_ips if ip not in gone),
        load_balancer_ips=tuple(ip for ip in port.load_balancer_ips if ip not in gone),
    )


def _inside(port: ServicePort) -> Frontend:
    return Frontend(port.cluster_ip, port.name.protocol, port.port)


def _outside(port: ServicePort) -> list[Frontend]:
    protocol = port.name.protocol
    frontends = [Frontend(address, protocol, port.port) for address in (*port.external_ips, *port.load_balancer_ips)]
    return [*frontends, Frontend("", protocol, port.node_port)] if port.node_port else frontends
