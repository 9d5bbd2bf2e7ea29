"""When probes are tried, and what their results mean."""

from typing import Any

import msgspec
import pytest

from kubesvc.api.views import Probe
from kubesvc.node.probes import ProbeKind, ProbeState, begin, observe


def probe(**fields: Any) -> Probe:
    return msgspec.convert({"tcpSocket": {"port": 80}, **fields}, Probe)


def tries(state: ProbeState, *results: bool) -> tuple[ProbeState, list[float]]:
    """Feed results at the moments that the state asks for."""
    moments = []
    for success in results:
        moments.append(state.next_at)
        state = observe(state, success=success, at=state.next_at)
    return state, moments


def test_the_first_try_comes_after_the_initial_delay() -> None:
    assert begin(probe(initialDelaySeconds=3), "readiness").next_at == 3.0


def test_a_pod_not_ready_yet_is_tried_again_soon_and_soon_after() -> None:
    state, moments = tries(begin(probe(periodSeconds=1), "readiness"), False, False, False, False)
    assert moments == pytest.approx([0.0, 0.025, 0.075, 0.175])
    assert state.failures == 1, "tries between the periods count no failure"


def test_the_extra_tries_never_put_off_the_regular_one() -> None:
    state = begin(probe(periodSeconds=1), "readiness")
    moments = []
    for _ in range(12):
        moments.append(round(state.next_at, 3))
        state = observe(state, success=False, at=state.next_at)
    assert 1.0 in moments
    assert 2.0 in moments


def test_one_success_settles_readiness_and_the_period_rules_from_then_on() -> None:
    state, _ = tries(begin(probe(periodSeconds=5), "readiness"), False, True)
    assert state.verdict is True
    assert state.next_at == 5.0


def test_success_needs_its_threshold_in_a_row() -> None:
    state, _ = tries(begin(probe(successThreshold=2, periodSeconds=1), "readiness"), True)
    assert state.verdict is None
    state, _ = tries(state, True)
    assert state.verdict is True


@pytest.mark.parametrize("kind", ["liveness", "readiness"])
def test_failure_needs_its_threshold_in_a_row(kind: ProbeKind) -> None:
    state, _ = tries(begin(probe(failureThreshold=2, periodSeconds=1), kind), True, False)
    assert state.verdict is True
    state, _ = tries(state, True, False, False)
    assert state.verdict is False


def test_liveness_is_tried_by_the_period_alone() -> None:
    _, moments = tries(begin(probe(periodSeconds=2), "liveness"), False, False, True)
    assert moments == [0.0, 2.0, 4.0]


def test_a_startup_probe_fails_only_after_all_its_periods() -> None:
    state = begin(probe(failureThreshold=3, periodSeconds=1), "startup")
    while state.verdict is None:
        state = observe(state, success=False, at=state.next_at)
    assert state.verdict is False
    assert state.period_at >= 3.0
