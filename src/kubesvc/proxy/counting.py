"""Connections per Service and per endpoint, read from the kernel's own counters when somebody looks.

A counter begins anew when its rule or element is written anew. Here only what is gained between two
looks is added up: nothing is counted twice, and what came between the last look and a rewrite is lost.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from kubesvc.aio.clock import Clock
from kubesvc.observe import log
from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.live import Counts
from kubesvc.proxy.model import PortPlan, ServicePortName, Target

LEAST_SECONDS = 1.0
SHARE = 20
"""How many times longer than a look the pause after it is: counting costs at most a twentieth of a core."""

Read = Callable[[Mapping[ServicePortName, PortPlan]], Counts]
K = TypeVar("K", bound=Hashable)

_log = log("proxy")


class Totals(Generic[K]):
    """Sums that only grow, made from counters that may begin anew."""

    def __init__(self) -> None:
        self.values: dict[K, int] = {}
        self._last: dict[K, int] = {}

    def update(self, found: Mapping[K, int]) -> None:
        """Take in the counters as they are now; what is not among them is gone."""
        self.values = {key: self.values.get(key, 0) + self._gained(key, number) for key, number in found.items()}
        self._last = dict(found)

    def _gained(self, key: K, number: int) -> int:
        return max(number - self._last.get(key, 0), 0)


class ConnectionCounts:
    """One family's counts; `read` looks into the kernel and may take its time: it runs in a thread."""

    def __init__(self, read: Read, plans: Mapping[ServicePortName, PortPlan], clock: Clock) -> None:
        self.services: Totals[ServicePortName] = Totals()
        self.endpoints: Totals[tuple[ServicePortName, Target]] = Totals()
        self._read, self._plans, self._clock = read, plans, clock
        self._not_before = float("-inf")

    async def refresh(self) -> None:
        """Look again, unless the last look was a moment ago; trouble leaves the counts as they were."""
        began = self._clock.monotonic()
        if began < self._not_before:
            return
        self._not_before = float("inf")
        try:
            found = await asyncio.to_thread(self._read, dict(self._plans))
        except BackendError as err:
            _log.debug("counters not read", reason=err)
        else:
            self.services.update(found.services)
            self.endpoints.update(found.endpoints)
        finally:
            ended = self._clock.monotonic()
            self._not_before = ended + max(LEAST_SECONDS, SHARE * (ended - began))


def add_up(parts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    """The families' counts together."""
    total: dict[K, int] = {}
    for part in parts:
        for key, number in part.items():
            total[key] = total.get(key, 0) + number
    return total
