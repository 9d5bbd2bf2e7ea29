"""What is done for a pod next, and the status that says how it is."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kubesvc.api.views import Pod
from kubesvc.node.backoff import BackOff, describe, image_delay
from kubesvc.node.decisions import Decision, Forget, MakeSandbox, RemoveSandbox, StartContainer, StopPod, decide
from kubesvc.node.podstatus import Moment, build_status, condition_times, pod_phase
from kubesvc.node.records import ContainerRecord, PodRecord, Run, Waiting
from kubesvc.testing import builders

READY = PodRecord(sandbox="ready", address="10.244.1.5", started_at=1000.0)
MOMENT = Moment(2000.0, "192.0.2.11")


def pod(*init: str, policy: str = "Always", containers: tuple[str, ...] = ("main",), **spec: Any) -> Pod:
    """Init containers by name; a `+` marks a sidecar."""
    document = builders.pod("web", node="node-1", **spec)
    document["spec"] |= {
        "restartPolicy": policy,
        "containers": [{"name": name, "image": "kubesvc/echo"} for name in containers],
        "initContainers": [
            {"name": name.strip("+"), "image": "kubesvc/host"} | ({"restartPolicy": "Always"} if "+" in name else {})
            for name in init
        ],
    }
    return msgspec.convert(document, Pod)


def running(name: str, *, ready: bool = True, started: bool = True) -> ContainerRecord:
    return ContainerRecord(name, run=Run(f"id-{name}", 0, 1001.0, "/log"), ready=ready, started=started)


def exited(name: str, code: int, **fields: Any) -> ContainerRecord:
    run = Run(f"id-{name}", 0, 1001.0, "/log", finished_at=1002.0, exit_code=code)
    return ContainerRecord(name, run=run, **fields)


def record(*containers: ContainerRecord, base: PodRecord = READY) -> PodRecord:
    for container in containers:
        base = base.having(container)
    return base


def actions(pod_: Pod, record_: PodRecord, *, deleted: bool = False) -> tuple[Any, ...]:
    return decide(pod_, record_, deleted=deleted, now=0.0).actions


def test_a_new_pod_gets_its_sandbox_first() -> None:
    assert actions(pod(), PodRecord()) == (MakeSandbox(),)


def test_a_sandbox_that_failed_is_made_again_later() -> None:
    assert decide(pod(), PodRecord(retry_at=5.0), deleted=False, now=1.0) == Decision(again_at=5.0)


def test_containers_start_together_once_there_is_no_init_container_left() -> None:
    assert actions(pod(containers=("a", "b")), READY) == (StartContainer("a"), StartContainer("b"))


def test_init_containers_start_one_after_another() -> None:
    it = pod("one", "two")
    assert actions(it, READY) == (StartContainer("one"),)
    assert actions(it, record(running("one"))) == ()
    assert actions(it, record(exited("one", 0))) == (StartContainer("two"),)
    assert actions(it, record(exited("one", 0), exited("two", 0))) == (StartContainer("main"),)


def test_a_sidecar_lets_the_next_one_start_once_it_has_started_and_stays() -> None:
    it = pod("side+", "two")
    assert actions(it, record(running("side", started=False))) == ()
    assert actions(it, record(running("side"))) == (StartContainer("two"),)
    done = record(running("side"), exited("two", 0), running("main"))
    assert actions(it, done) == ()
    assert actions(it, record(exited("side", 1), base=done)) == (StartContainer("side"),)


def test_a_failed_init_container_is_tried_again_or_fails_the_pod() -> None:
    assert actions(pod("one"), record(exited("one", 1))) == (StartContainer("one"),)
    never = pod("one", policy="Never")
    assert actions(never, record(exited("one", 1))) == (RemoveSandbox(),)
    assert pod_phase(never, record(exited("one", 1))) == "Failed"


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_the_restart_policy_decides_about_ended_containers(policy: str, code: int, *, again: bool) -> None:
    expected = (StartContainer("main"),) if again else (RemoveSandbox(),)
    assert actions(pod(policy=policy), record(exited("main", code))) == expected


def test_a_restart_waits_for_its_back_off() -> None:
    crashed = record(exited("main", 1, retry_at=9.0))
    assert decide(pod(), crashed, deleted=False, now=1.0) == Decision(again_at=9.0)


def test_a_deleted_pod_is_stopped_taken_down_and_forgotten() -> None:
    assert actions(pod(), record(running("main")), deleted=True) == (StopPod(),)
    assert actions(pod(), record(exited("main", 0)), deleted=True) == (RemoveSandbox(),)
    assert actions(pod(), replace(READY, sandbox="gone"), deleted=True) == (Forget(),)


def test_a_sidecar_does_not_keep_a_finished_pod_alive() -> None:
    it = pod("side+", policy="Never")
    assert actions(it, record(running("side"), exited("main", 0))) == (StopPod(),)


def test_a_pod_that_has_ended_for_the_api_is_never_run_again() -> None:
    ended = pod(policy="Never")
    ended = msgspec.structs.replace(ended, status=msgspec.structs.replace(ended.status, phase="Succeeded"))
    assert actions(ended, PodRecord()) == ()


# Status


def status(pod_: Pod, record_: PodRecord) -> dict[str, Any]:
    return build_status(pod_, record_, MOMENT)


def condition(document: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(dict(each) for each in document["conditions"] if each["type"] == kind)


def test_a_running_pod_is_ready_with_its_containers() -> None:
    document = status(pod(), record(running("main")))
    assert document["phase"] == "Running"
    assert document["podIPs"] == [{"ip": "10.244.1.5"}]
    assert document["hostIP"] == "192.0.2.11"
    assert condition(document, "Ready")["status"] == "True"
    main = document["containerStatuses"][0]
    assert main["containerID"] == "process://id-main"
    assert main["state"] == {"running": {"startedAt": "1970-01-01T00:16:41Z"}}
    assert (main["ready"], main["started"], main["restartCount"]) == (True, True, 0)


def test_an_unready_container_is_named() -> None:
    document = status(pod(containers=("a", "b")), record(running("a"), running("b", ready=False)))
    assert condition(document, "Ready") == {
        "type": "Ready",
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": "1970-01-01T00:33:20Z",
        "reason": "ContainersNotReady",
        "message": "containers with unready status: [b]",
    }


def test_a_readiness_gate_holds_the_pod_back_until_it_is_true() -> None:
    gated = pod(readinessGates=[{"conditionType": "example.com/ok"}])
    held = status(gated, record(running("main")))
    assert condition(held, "ContainersReady")["status"] == "True"
    assert condition(held, "Ready")["reason"] == "ReadinessGatesNotReady"
    document = builders.pod("web", readinessGates=[{"conditionType": "example.com/ok"}])
    document["status"]["conditions"] = [{"type": "example.com/ok", "status": "True"}]
    opened = msgspec.convert(document, Pod)
    assert condition(status(opened, record(running("main"))), "Ready")["status"] == "True"


def test_conditions_keep_their_time_while_they_keep_their_status() -> None:
    first = status(pod(), record(running("main")))
    times = {each["type"]: (each["status"], each["lastTransitionTime"]) for each in first["conditions"]}
    later = build_status(pod(), record(running("main", ready=False)), Moment(3000.0, "192.0.2.11", times))
    assert condition(later, "Initialized")["lastTransitionTime"] == "1970-01-01T00:33:20Z"
    assert condition(later, "Ready")["lastTransitionTime"] == "1970-01-01T00:50:00Z"


def test_times_are_taken_over_from_the_api() -> None:
    document = builders.pod("web")
    document["status"]["conditions"] = [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ]
    assert condition_times(msgspec.convert(document, Pod).status.conditions) == {
        "Ready": ("True", "2026-01-01T00:00:00Z")
    }


def test_before_anything_runs_containers_wait_for_their_creation() -> None:
    document = status(pod(), PodRecord())
    assert document["phase"] == "Pending"
    assert document["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert "podIP" not in document


def test_while_init_containers_run_the_others_say_so() -> None:
    document = status(pod("one"), record(running("one")))
    assert document["phase"] == "Pending"
    assert document["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    # As the kubelet: init containers too, so that kubectl shows Init:0/1.
    waiting = status(pod("one"), record())["initContainerStatuses"][0]["state"]
    assert waiting == {"waiting": {"reason": "PodInitializing"}}
    assert condition(document, "Initialized")["message"] == "containers with incomplete status: [one]"


def test_a_crash_loop_shows_the_wait_and_the_last_run() -> None:
    crashed = exited("main", 3, waiting=Waiting("CrashLoopBackOff", "back-off 10s"), restarts=1)
    main = status(pod(), record(crashed))["containerStatuses"][0]
    assert main["state"]["waiting"] == {"reason": "CrashLoopBackOff", "message": "back-off 10s"}
    assert main["lastState"]["terminated"]["exitCode"] == 3
    assert main["restartCount"] == 1


@pytest.mark.parametrize(("codes", "phase"), [((0, 0), "Succeeded"), ((0, 2), "Failed")])
def test_a_finished_pod_succeeded_when_all_its_containers_did(codes: tuple[int, int], phase: str) -> None:
    it = pod(policy="Never", containers=("a", "b"))
    ended = record(exited("a", codes[0]), exited("b", codes[1]))
    assert status(it, ended)["phase"] == phase
    assert (
        condition(status(it, ended), "Ready")["reason"] == {"Succeeded": "PodCompleted", "Failed": "PodFailed"}[phase]
    )


# Back-off


def test_the_first_restart_is_immediate_then_the_delay_doubles_to_five_minutes() -> None:
    state, waits = BackOff(), []
    for _ in range(8):
        wait, state = state.after_exit(ran_for=1.0)
        waits.append(wait)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]


@given(st.floats(min_value=600, max_value=1e6), st.floats(min_value=0, max_value=300))
def test_ten_minutes_of_running_are_forgiven(ran_for: float, delay: float) -> None:
    assert BackOff(delay).after_exit(ran_for) == (0.0, BackOff(10.0))


def test_delays_read_as_the_kubelet_writes_them() -> None:
    assert [describe(image_delay(n)) for n in (1, 2, 6)] == ["10s", "20s", "5m0s"]
