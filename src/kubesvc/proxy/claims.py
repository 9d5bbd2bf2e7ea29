"""Who gets an external address and port that several Services claim.

The API does not keep two Services from naming one external or load-balancer address. The oldest gets
it, among equals the first by namespace and name: every node and every restart decides the same.
"""

from dataclasses import replace
from typing import NamedTuple

from kubesvc.api.resources import Key
from kubesvc.proxy.model import ServicePort

NEVER = "~"
"""A time later than every timestamp, for objects that have none."""


class Frontend(NamedTuple):
    """What packets are sent to."""

    address: str
    protocol: str
    port: int

    def __str__(self) -> str:
        return f"{self.address} port {self.port}/{self.protocol}"


class Claims:
    """All claims of one family."""

    def __init__(self) -> None:
        self._claims: dict[Frontend, dict[Key, tuple[str, Key]]] = {}
        self._held: dict[Key, frozenset[Frontend]] = {}

    def set(self, key: Key, created: str | None, frontends: frozenset[Frontend]) -> set[Key]:
        """Take in what a Service claims now; the other Services whose share may change by that."""
        affected: set[Key] = set()
        for frontend in self._held.get(key, frozenset()) - frontends:
            claims = self._claims[frontend]
            del claims[key]
            affected.update(claims)
            if not claims:
                del self._claims[frontend]
        for frontend in frontends:
            claims = self._claims.setdefault(frontend, {})
            rank = (created or NEVER, key)
            if claims.get(key) != rank:
                affected.update(claims)
                claims[key] = rank
        if frontends:
            self._held[key] = frontends
        else:
            self._held.pop(key, None)
        return affected - {key}

    def winner(self, frontend: Frontend) -> Key:
        """Who gets it; raises KeyError if nobody claims it."""
        claims = self._claims[frontend]
        return min(claims, key=claims.__getitem__)

    def lost(self, key: Key) -> dict[Frontend, Key]:
        """What a Service claims in vain, and who has it."""
        found = {}
        for frontend in self._held.get(key, ()):
            winner = self.winner(frontend)
            if winner != key:
                found[frontend] = winner
        return found


def frontends_of(port: ServicePort) -> frozenset[Frontend]:
    """The external addresses and the port at them."""
    addresses = (*port.external_ips, *port.load_balancer_ips)
    return frozenset(Frontend(address, port.name.protocol, port.port) for address in addresses)


def without(port: ServicePort, lost: dict[Frontend, Key]) -> ServicePort:
    """The port without the addresses that others have."""
    gone = {frontend.address for frontend in frontends_of(port) & lost.keys()}
    if not gone:
        return port
    return replace(
        port,
        external_ips=tuple(ip for ip in port.external_ips if ip not in gone),
        load_balancer_ips=tuple(ip for ip in port.load_balancer_ips if ip not in gone),
    )
