"""Stale UDP flows of one family, deleted: once the rules have changed, and once more a moment later.

A packet that chose its endpoint by the old rules may be confirmed only after the first look, and the
kernel's listing may pass over flows while its table is changing. A client that keeps sending would stay
with such a flow for ever; the second look finds it.
"""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Protocol

from kubesvc.aio.clock import Clock, SystemClock
from kubesvc.linux.conntrack import Flow
from kubesvc.proxy.conntrack import FlowFilter, StaleFlows, all_flows
from kubesvc.proxy.model import PortPlan, Target

TCP, UDP = 6, 17
SHARE = 10
"""How many times longer than a look the pause after it is: a look costs time for every flow of the node."""


class Flows(Protocol):
    """The kernel's flows."""

    def flows(self, protocol: int) -> Iterable[Flow]: ...
    def unanswered(self, protocol: int) -> Iterable[Flow]: ...
    def delete(self, flow: Flow) -> bool: ...


class Swept(NamedTuple):
    """What one look did."""

    deleted: int
    seconds: float


class FlowSweep:
    """Gathers what becomes stale, and looks for it when told to."""

    def __init__(self, flows: Flows, clock: Clock | None = None) -> None:
        self._flows = flows
        self._clock = clock or SystemClock()
        self._new, self._seen = FlowFilter(), FlowFilter()
        self._not_before = float("-inf")

    def add(self, stale: StaleFlows) -> None:
        """These are stale as soon as the rules have changed."""
        self._new.add(stale)

    def renew(self, plan: PortPlan) -> None:
        """What a port serves by its newest plan is not stale, whatever was said before."""
        serves = all_flows(plan)
        if serves is not None:
            self._new.renew(serves)
            self._seen.renew(serves)

    def forget_early(self, frontends: Collection[Target]) -> int:
        """Delete connections that began before their address was a Service's; how many. Raises OSError.

        The rules see the first packet of a flow alone: the next one the client sends is a first one again.
        """
        found = [
            flow for flow in self._flows.unanswered(TCP) if Target(flow.destination, flow.destination_port) in frontends
        ]
        return sum(self._flows.delete(flow) for flow in found)

    def look(self, local_addresses: Callable[[], Collection[str]], *, again: bool = False) -> Swept | None:
        """Delete what is stale by now; None if nothing can be, or if the last look was a moment ago.

        With `again` also what was looked for only once so far. Raises OSError, after which nothing is forgotten
        and the next look may be taken at once.
        """
        began = self._clock.monotonic()
        if began < self._not_before or not (self._new or (again and self._seen)):
            return None
        wanted = FlowFilter(dict(self._seen.by_frontend), dict(self._seen.by_node_port))
        wanted.update(self._new)
        local = frozenset(local_addresses())
        found = [
            flow
            for flow in self._flows.flows(UDP)
            if wanted.is_stale(
                Target(flow.destination, flow.destination_port),
                Target(flow.reply_source, flow.reply_source_port),
                local,
            )
        ]
        deleted = sum(self._flows.delete(flow) for flow in found)
        self._seen, self._new = self._new, FlowFilter()
        ended = self._clock.monotonic()
        self._not_before = ended + SHARE * (ended - began)
        return Swept(deleted, ended - began)
