"""The probes of one run of a container, one task each, from its start to its end."""

import asyncio
from collections.abc import Callable

from kubesvc.aio.clock import Clock
from kubesvc.api.views import Probe
from kubesvc.node import probes
from kubesvc.node.probes import ProbeKind, ProbeState
from kubesvc.node.probing import Target, try_probe

Verdict = Callable[[ProbeKind, bool, str], None]
Failure = Callable[[ProbeKind, str], None]


class Prober:
    """Runs a container's probes; `on_verdict` hears each settled change, `on_failure` every counted failure.

    The readiness and liveness probes begin once the startup probe, if there is one, has succeeded.
    """

    def __init__(
        self,
        target: Target,
        *,
        ready: bool,
        started: bool,
        on_verdict: Verdict,
        on_failure: Failure,
        clock: Clock,
    ) -> None:
        self._target = target
        self._ready = ready
        self._started = started
        self._on_verdict = on_verdict
        self._on_failure = on_failure
        self._clock = clock
        self._began = clock.monotonic()

    async def run(self) -> None:
        """Probe until cancelled; ends by itself when there is nothing (more) to probe."""
        container = self._target.container
        startup = container.startup_probe if not self._started else None
        if startup is not None and not await self._until_settled(startup):
            return
        async with asyncio.TaskGroup() as tasks:
            if container.readiness_probe:
                state = probes.begin(container.readiness_probe, "readiness")
                tasks.create_task(self._forever(state, verdict=True if self._ready else None), name="readiness probe")
            if container.liveness_probe:
                state = probes.begin(container.liveness_probe, "liveness")
                tasks.create_task(self._forever(state, verdict=None), name="liveness probe")

    async def _until_settled(self, probe: Probe) -> bool:
        state = probes.begin(probe, "startup")
        while state.verdict is None:
            state = await self._once(state)
        self._on_verdict("startup", state.verdict, "")
        return state.verdict

    async def _forever(self, state: ProbeState, *, verdict: bool | None) -> None:
        """`verdict` is what is in force already: a restarted agent does not make a ready container unready."""
        reported = verdict
        while True:
            state = await self._once(state)
            if state.verdict is not None and state.verdict != reported:
                reported = state.verdict
                self._on_verdict(state.kind, reported, "")

    async def _once(self, state: ProbeState) -> ProbeState:
        wait = state.next_at - (self._clock.monotonic() - self._began)
        if wait > 0:
            await self._clock.sleep(wait)
        outcome = await try_probe(state.probe, self._target)
        after = probes.observe(state, success=outcome.success, at=self._clock.monotonic() - self._began)
        if after.failures > state.failures or (not outcome.success and after.verdict is False is not state.verdict):
            self._on_failure(state.kind, outcome.message)
        return after
