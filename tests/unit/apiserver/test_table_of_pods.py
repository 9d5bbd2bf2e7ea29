"""The row of a pod: READY, STATUS and RESTARTS as people know them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubesvc.api.resources import PODS
from kubesvc.apiserver.printers import table

Document = dict[str, Any]
NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
RUNNING: Document = {"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}}


def waiting(reason: str, **fields: Any) -> Document:
    return RUNNING | {"ready": False, "state": {"waiting": {"reason": reason}}} | fields


def ended(code: int, reason: str = "", **fields: Any) -> Document:
    return RUNNING | {"ready": False, "state": {"terminated": {"exitCode": code, "reason": reason, **fields}}}


def pod(*statuses: Document, phase: str = "Running", deleted: bool = False, **parts: Any) -> Document:
    metadata: Document = {"name": "web-1", "namespace": "shop", "creationTimestamp": "2026-11-22T12:59:00Z"}
    if deleted:
        metadata["deletionTimestamp"] = "2026-11-22T12:59:50Z"
    spec = {"containers": [{"name": "c"}] * max(1, len(statuses)), **parts.pop("spec", {})}
    return {
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": phase, "containerStatuses": list(statuses), **parts},
    }


def cells(obj: Document) -> list[Any]:
    found: list[Any] = table(PODS, [obj], NOW)["rows"][0]["cells"]
    return found


def status(obj: Document) -> str:
    return str(cells(obj)[2])


def test_a_running_pod() -> None:
    obj = pod(RUNNING, RUNNING, podIP="10.0.0.1", podIPs=[{"ip": "10.0.0.1"}], spec={"nodeName": "node-1"})
    assert cells(obj) == ["web-1", "2/2", "Running", "0", "60s", "10.0.0.1", "node-1", "<none>", "<none>"]


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        (pod(phase="Pending"), "Pending"),
        (pod(waiting("ContainerCreating"), phase="Pending"), "ContainerCreating"),
        (pod(waiting("CrashLoopBackOff")), "CrashLoopBackOff"),
        (pod(waiting("ErrImagePull"), phase="Pending"), "ErrImagePull"),
        (pod(ended(1, "Error"), phase="Failed"), "Error"),
        (pod(ended(0, "Completed"), phase="Succeeded"), "Completed"),
        (pod(ended(3)), "ExitCode:3"),
        (pod(ended(137, signal=9)), "Signal:9"),
        (pod(phase="Failed", reason="Evicted"), "Evicted"),
        (pod(RUNNING, deleted=True), "Terminating"),
        (pod(RUNNING, deleted=True, reason="NodeLost"), "Unknown"),
        (pod(ended(0, "Completed"), phase="Succeeded", deleted=True), "Completed"),
        (
            pod(phase="Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]),
            "SchedulingGated",
        ),
    ],
)
def test_the_status_says_what_keeps_the_pod(obj: Document, text: str) -> None:
    assert status(obj) == text


def test_the_first_container_in_trouble_speaks() -> None:
    assert status(pod(waiting("CrashLoopBackOff"), RUNNING)) == "CrashLoopBackOff"
    assert cells(pod(waiting("CrashLoopBackOff"), RUNNING))[1] == "1/2"


def test_a_completed_container_beside_a_running_one_is_no_completed_pod() -> None:
    containers = (ended(0, "Completed"), RUNNING)
    assert status(pod(*containers, conditions=[{"type": "Ready", "status": "True"}])) == "Running"
    assert status(pod(*containers)) == "NotReady"


def test_restarts_say_when_the_last_one_was() -> None:
    last = {"terminated": {"finishedAt": "2026-11-22T12:55:00Z"}}
    assert cells(pod(RUNNING | {"restartCount": 3, "lastState": last}))[3] == "3 (5m ago)"
    assert cells(pod(RUNNING | {"restartCount": 3}))[3] == "3"


INIT: Document = {"initContainers": [{"name": "i"}, {"name": "j"}]}


@pytest.mark.parametrize(
    ("statuses", "text"),
    [
        ([waiting("PodInitializing", name="i")], "Init:0/2"),
        ([ended(0) | {"name": "i"}, RUNNING | {"name": "j"}], "Init:1/2"),
        ([waiting("CrashLoopBackOff", name="i")], "Init:CrashLoopBackOff"),
        ([ended(1, "Error") | {"name": "i"}], "Init:Error"),
        ([ended(2) | {"name": "i"}], "Init:ExitCode:2"),
        ([ended(2, signal=9) | {"name": "i"}], "Init:Signal:9"),
    ],
)
def test_init_containers_come_first(statuses: list[Document], text: str) -> None:
    obj = pod(waiting("PodInitializing"), phase="Pending", initContainerStatuses=statuses, spec=INIT)
    assert status(obj) == text


def test_a_started_sidecar_counts_as_a_container() -> None:
    spec = {"initContainers": [{"name": "s", "restartPolicy": "Always"}]}
    sidecar = RUNNING | {"name": "s", "started": True, "restartCount": 2}
    assert cells(pod(RUNNING, initContainerStatuses=[sidecar], spec=spec))[1:4] == ["2/2", "Running", "2"]


def test_restarts_of_finished_init_containers_are_history() -> None:
    done = ended(0, "Completed") | {"name": "i", "restartCount": 4}
    assert cells(pod(RUNNING, initContainerStatuses=[done], spec={"initContainers": [{"name": "i"}]}))[3] == "0"


def test_readiness_gates_are_counted() -> None:
    gates = {"readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}
    assert cells(pod(RUNNING, conditions=[{"type": "a", "status": "True"}], spec=gates))[-1] == "1/2"


def test_finished_pods_are_marked_as_such() -> None:
    row = table(PODS, [pod(ended(0, "Completed"), phase="Succeeded")], NOW)["rows"][0]
    assert row["conditions"][0]["reason"] == "Succeeded"
    assert "conditions" not in table(PODS, [pod(RUNNING)], NOW)["rows"][0]
