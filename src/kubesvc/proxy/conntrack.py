"""Which UDP flows have to be forgotten (behaviour row 31).

A UDP flow that conntrack knows keeps its translation for as long as packets come, whatever the
rules say. When an endpoint stops serving, its flows are deleted after the rules have changed; so
are those of ports that lost all endpoints, of ports that are gone, and flows to a new address or
node port that began before it was one.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from kubesvc.proxy.model import PortPlan, Target


@dataclass(frozen=True, slots=True)
class StaleFlows:
    """Flows to one of `frontends` or `node_ports` are stale unless they go to one of `keep`."""

    frontends: frozenset[Target]
    node_ports: frozenset[int]
    keep: frozenset[Target]


@dataclass(slots=True)
class FlowFilter:
    """Several ports' stale flows, asked flow by flow."""

    by_frontend: dict[Target, frozenset[Target]] = field(default_factory=dict)
    by_node_port: dict[int, frozenset[Target]] = field(default_factory=dict)

    def add(self, stale: StaleFlows) -> None:
        """Take in one more port."""
        self.by_frontend.update(dict.fromkeys(stale.frontends, stale.keep))
        self.by_node_port.update(dict.fromkeys(stale.node_ports, stale.keep))

    def renew(self, stale: StaleFlows) -> None:
        """Take in a port's newest word on what it is asked about already."""
        for frontend in stale.frontends & self.by_frontend.keys():
            self.by_frontend[frontend] = stale.keep
        for port in stale.node_ports & self.by_node_port.keys():
            self.by_node_port[port] = stale.keep

    def update(self, newer: "FlowFilter") -> None:
        """Take in everything another one knows."""
        self.by_frontend |= newer.by_frontend
        self.by_node_port |= newer.by_node_port

    def __bool__(self) -> bool:
        return bool(self.by_frontend or self.by_node_port)

    def is_stale(self, destination: Target, reply_source: Target, local_addresses: Collection[str]) -> bool:
        """Whether a flow to one of the ports goes where nobody serves it, translated or not.

        `destination` is where the client sent to. A node port counts on the node's own addresses.
        """
        keep = self.by_frontend.get(destination)
        if keep is None and destination.ip in local_addresses:
            keep = self.by_node_port.get(destination.port)
        return keep is not None and reply_source not in keep


def stale_flows(old: PortPlan | None, new: PortPlan | None) -> StaleFlows | None:
    """What a change of one port's plan makes stale; None if nothing can be."""
    if not (_is_udp(old) or _is_udp(new)):
        return None
    keep = frozenset(new.serving if new else ())
    if old and new and keep.issuperset(old.serving) and _addressed(old) == _addressed(new):
        return None
    return _stale(keep, old, new)


def all_flows(plan: PortPlan) -> StaleFlows | None:
    """What is stale if nothing is known about the past, as after a start; None for what is not UDP."""
    return _stale(frozenset(plan.serving), plan) if _is_udp(plan) else None


def _stale(keep: frozenset[Target], *plans: PortPlan | None) -> StaleFlows:
    ports = [plan for plan in plans if plan is not None]
    return StaleFlows(
        frontends=frozenset(frontend for port in ports for frontend in frontends(port)),
        node_ports=frozenset(port.service.node_port for port in ports if port.service.node_port),
        keep=keep,
    )


def _is_udp(plan: PortPlan | None) -> bool:
    return plan is not None and plan.name.protocol == "UDP"


def _addressed(plan: PortPlan) -> tuple[set[Target], int]:
    return frontends(plan), plan.service.node_port


def frontends(plan: PortPlan) -> set[Target]:
    """The addresses and port that clients know, node ports aside."""
    service = plan.service
    return {Target(address, service.port) for address in service.addresses}
