"""Connections per Service and per endpoint, read from the kernel's own counters when somebody looks.

A counter begins anew when its rule or element is written anew. Here only what is gained between two
looks is added up: nothing is counted twice, and what came between the last look and a rewrite is lost.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from kubesvc.aio.clock import Clock
from kubesvc.proxy.live import Counts
from kubesvc.proxy.model import PortPlan, ServicePortName, Target

LEAST_SECONDS = 1.0
SHARE = 20
"""How many times longer than a look the pause after it is: counting costs at most a twentieth of a core."""

Read = Callable[[Mapping[ServicePortName, PortPlan]], Counts]
K = TypeVar("K", bound=Hashable)


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
    """One family's counts; `read` looks into the kernel."""

    def __init__(self, read: Read) -> None:
        self.services: Totals[ServicePortName] = Totals()
        self.endpoints: Totals[tuple[ServicePortName, Target]] = Totals()
        self._read = read

    def look(self, plans: Mapping[ServicePortName, PortPlan]) -> None:
        """Take in the counters of these ports. Raises BackendError."""
        found = self._read(plans)
        self.services.update(found.services)
        self.endpoints.update(found.endpoints)


class DropCount:
    """How many packets one family's rules dropped as invalid to conntrack; `read` looks into the kernel."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._total: Totals[None] = Totals()
        self._read = read

    @property
    def packets(self) -> int:
        return self._total.values.get(None, 0)

    def look(self, _plans: Mapping[ServicePortName, PortPlan]) -> None:
        """Take in the counter. Raises BackendError."""
        self._total.update({None: self._read()})


class Pace:
    """Lets looks happen in a thread, one at a time and not too often."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._not_before = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    async def run(self, look: Callable[[], None]) -> None:
        """Look, unless the last look was a moment ago; one that is under way is waited for instead."""
        if self._looking is None and self._clock.monotonic() >= self._not_before:
            self._looking = asyncio.create_task(self._look(look), name="proxy-counters")
        if self._looking is not None:
            # Who asks may give up; a thread cannot, and two must not add to the same sums.
            await asyncio.shield(self._looking)

    async def _look(self, look: Callable[[], None]) -> None:
        began = self._clock.monotonic()
        try:
            await asyncio.to_thread(look)
        finally:
            ended = self._clock.monotonic()
            self._not_before = ended + max(LEAST_SECONDS, SHARE * (ended - began))
            self._looking = None


def add_up(parts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    """The families' counts together."""
    total: dict[K, int] = {}
    for part in parts:
        for key, number in part.items():
            total[key] = total.get(key, 0) + number
    return total
