"""The part of /metrics that the kernel counts: read, added up and written down apart from the event loop.

With many endpoints that is some seconds of work, which no sync has to wait for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from kubesvc.aio.clock import Clock
from kubesvc.observe import log
from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.counting import ConnectionCounts, DropCount, Pace, add_up
from kubesvc.proxy.metrics import CounterMetrics
from kubesvc.proxy.model import PortPlan, ServicePortName
from kubesvc.proxy.traffic_table import TrafficCounts

Plans = Mapping[ServicePortName, PortPlan]
_log = log("proxy")


@dataclass(frozen=True, slots=True)
class FamilyCounters:
    """What is counted in one family."""

    plans: Plans
    connections: ConnectionCounts
    traffic: TrafficCounts | None
    drops: DropCount | None = None

    def looks(self) -> Iterator[Callable[[Plans], None]]:
        """The functions to call with the plans."""
        yield self.connections.look
        if self.traffic:
            yield self.traffic.look
        if self.drops:
            yield self.drops.look


class CountersPage:
    """Metrics per Service, and per endpoint where asked for."""

    def __init__(self, families: Sequence[FamilyCounters], clock: Clock, *, endpoints: bool) -> None:
        self._families = tuple(families)
        self._endpoints = endpoints
        self._metrics = CounterMetrics(drops=any(family.drops for family in families))
        self._pace = Pace(clock)
        self._text = b""

    async def text(self) -> bytes:
        """The metrics in Prometheus' format, as of the last look."""
        plans = [dict(family.plans) for family in self._families]
        await self._pace.run(partial(self._look, plans))
        return self._text

    def _look(self, plans: Sequence[Plans]) -> None:
        """Trouble leaves the counts as they were."""
        for family, its_plans in zip(self._families, plans, strict=True):
            for look in family.looks():
                try:
                    look(its_plans)
                except (BackendError, OSError) as err:
                    _log.debug("counters not read", reason=err)
        self._render()

    def _render(self) -> None:
        metrics, counts = self._metrics, [family.connections for family in self._families]
        traffic = [family.traffic.traffic for family in self._families if family.traffic]
        metrics.set_drops(sum(family.drops.packets for family in self._families if family.drops))
        metrics.set_services(add_up(each.services.values for each in counts), add_up(each.services for each in traffic))
        if self._endpoints:
            metrics.set_endpoints(
                add_up(each.endpoints.values for each in counts), add_up(each.endpoints for each in traffic)
            )
        self._text = metrics.registry.render()
