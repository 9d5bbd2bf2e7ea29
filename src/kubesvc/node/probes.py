"""P: when to probe, and what a result means (Pod v1 `Probe`; kubelet's prober).

A startup probe holds the others back until it succeeds once. Before its first success a readiness or
startup probe is also tried between the periods, after 25 ms, doubling: a pod that is ready early is
seen early. Such an extra try that fails does not count as a failure.
"""

from typing import Literal

import msgspec
from msgspec.structs import replace

from kubesvc.api.views import Probe

ProbeKind = Literal["startup", "readiness", "liveness"]
FIRST_RETRY = 0.025


class ProbeState(msgspec.Struct, frozen=True):
    """Where one probe of one run of a container stands.

    `verdict` is None until it is settled; `next_at` and `period_at` are seconds after the container's start.
    """

    probe: Probe
    kind: ProbeKind
    verdict: bool | None = None
    successes: int = 0
    failures: int = 0
    next_at: float = 0.0
    period_at: float = 0.0
    retry: float = FIRST_RETRY

    @property
    def eager(self) -> bool:
        return self.kind != "liveness" and self.verdict is not True


def begin(probe: Probe, kind: ProbeKind) -> ProbeState:
    """A container has just started (for readiness and liveness: and its startup probe has succeeded)."""
    first = float(probe.initial_delay_seconds)
    return ProbeState(probe, kind, next_at=first, period_at=first)


def observe(state: ProbeState, *, success: bool, at: float) -> ProbeState:
    """The state after a try that ended `at` seconds after the start."""
    counted = at >= state.period_at
    if success:
        return _schedule(_succeed(state), at, counted=counted)
    if not counted:
        return _schedule(replace(state, successes=0), at, counted=False)
    return _schedule(_fail(state), at, counted=True)


def _succeed(state: ProbeState) -> ProbeState:
    successes = state.successes + 1
    verdict = True if successes >= max(state.probe.success_threshold, 1) else state.verdict
    return replace(state, successes=successes, failures=0, verdict=verdict)


def _fail(state: ProbeState) -> ProbeState:
    failures = state.failures + 1
    verdict = False if failures >= max(state.probe.failure_threshold, 1) else state.verdict
    return replace(state, failures=failures, successes=0, verdict=verdict)


def _schedule(state: ProbeState, at: float, *, counted: bool) -> ProbeState:
    period = float(max(state.probe.period_seconds, 1))
    period_at = at + period if counted else state.period_at
    if not state.eager:
        return replace(state, next_at=period_at, period_at=period_at, retry=FIRST_RETRY)
    next_at = min(at + state.retry, period_at)
    return replace(state, next_at=next_at, period_at=period_at, retry=min(state.retry * 2, period))
