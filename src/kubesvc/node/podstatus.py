"""P: the status that the agent reports for a pod (Pod v1 `PodStatus`, as the kubelet fills it)."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from kubesvc.api.qos import qos_class
from kubesvc.api.times import time_text
from kubesvc.api.views import Container, Pod, PodCondition
from kubesvc.node.records import ContainerRecord, PodRecord, Run, is_sidecar, may_restart

Document = dict[str, Any]
RUNTIME = "process"
# The kubelet's conditions; all others belong to whoever wrote them.


class Moment(msgspec.Struct, frozen=True):
    """When and where a status is made: Unix seconds, the node's address, the conditions reported before."""

    at: float
    node_ip: str
    before: Mapping[str, tuple[str, str]] = msgspec.field(default_factory=dict)


def condition_times(conditions: Iterable[PodCondition] | None) -> dict[str, tuple[str, str]]:
    """(status, last transition) by type, for `Moment.before`."""
    return {c.type: (c.status, c.last_transition_time) for c in conditions or () if c.last_transition_time}


def build_status(pod: Pod, record: PodRecord, moment: Moment) -> Document:
    """The whole status; conditions keep their transition time while they keep their status."""
    init = [_container_status(pod, c, record, init=True) for c in pod.spec.init_containers or ()]
    main = [_container_status(pod, c, record, init=False) for c in pod.spec.containers]
    phase = pod_phase(pod, record)
    status: Document = {
        "phase": phase,
        "conditions": _conditions(pod, record, moment, phase, init, main),
        "hostIP": moment.node_ip,
        "hostIPs": [{"ip": moment.node_ip}],
        "startTime": stamp(record.started_at or moment.at),
        "containerStatuses": main,
        "qosClass": pod.status.qos_class or qos_class(msgspec.to_builtins(pod.spec)),
    }
    if init:
        status["initContainerStatuses"] = init
    if record.address:
        status |= {"podIP": record.address, "podIPs": [{"ip": record.address}]}
    if record.failed is not None:
        status |= {"reason": record.failed.reason, "message": record.failed.message}
    return status


def pod_phase(pod: Pod, record: PodRecord) -> str:
    """Pending until every init container is done and a container ran; then by what runs, and how it ended."""
    if record.failed is not None:
        return "Failed"
    if pod.status.phase in ("Failed", "Succeeded"):
        return pod.status.phase
    for container in pod.spec.init_containers or ():
        state = record.of(container.name)
        if is_sidecar(container):
            continue
        if state.run is not None and state.run.exit_code:
            return "Pending" if may_restart(pod, container, state.run.exit_code, init=True) else "Failed"
        if not state.succeeded and not any(record.of(c.name).run for c in pod.spec.containers):
            return "Pending"
    return _phase_of_containers(pod, record)


def _phase_of_containers(pod: Pod, record: PodRecord) -> str:
    states = [record.of(container.name) for container in pod.spec.containers]
    if any(state.run is None for state in states):
        return "Pending"
    if any(state.running for state in states):
        return "Running"
    codes = [(state.run.exit_code if state.run else None) or 0 for state in states]
    pairs = zip(pod.spec.containers, codes, strict=True)
    if any(may_restart(pod, container, code, init=False) for container, code in pairs):
        return "Running"
    return "Failed" if any(codes) else "Succeeded"


def _conditions(
    pod: Pod, record: PodRecord, moment: Moment, phase: str, init: list[Document], main: list[Document]
) -> list[Document]:
    unready = [status["name"] for status in main if not status["ready"]]
    unready += _unready_sidecars(pod, init)
    containers_ready = _readiness(phase, unready, main)
    gates = _unmet_gates(pod)
    ready = containers_ready
    if ready[0] == "True" and gates:
        text = "; ".join(
            f'corresponding condition of pod readiness gate "{gate}" does not exist or is not True' for gate in gates
        )
        ready = ("False", "ReadinessGatesNotReady", text)
    sandbox = "True" if record.sandbox == "ready" else "False"
    wanted = {
        "PodReadyToStartContainers": (sandbox, "", ""),
        "Initialized": _initialized(pod, record, phase),
        "Ready": ready,
        "ContainersReady": containers_ready,
        "PodScheduled": ("True", "", ""),
    }
    conditions = []
    for kind, (value, reason, message) in wanted.items():
        before = moment.before.get(kind)
        kept = before[1] if before is not None and before[0] == value else None
        condition: Document = {
            "type": kind,
            "status": value,
            "lastProbeTime": None,
            "lastTransitionTime": kept or stamp(moment.at),
        }
        condition |= {key: text for key, text in (("reason", reason), ("message", message)) if text}
        conditions.append(condition)
    return conditions


def _readiness(phase: str, unready: list[str], main: list[Document]) -> tuple[str, str, str]:
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    if phase == "Failed":
        return "False", "PodFailed", ""
    if unready or not main:
        return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return "True", "", ""


def _unready_sidecars(pod: Pod, init: list[Document]) -> list[str]:
    sidecars = {container.name for container in pod.spec.init_containers or () if is_sidecar(container)}
    return [status["name"] for status in init if status["name"] in sidecars and not status["ready"]]


def _unmet_gates(pod: Pod) -> list[str]:
    true = {condition.type for condition in pod.status.conditions or () if condition.status == "True"}
    return [gate.condition_type for gate in pod.spec.readiness_gates or () if gate.condition_type not in true]


def _initialized(pod: Pod, record: PodRecord, phase: str) -> tuple[str, str, str]:
    if phase == "Succeeded":
        return "True", "PodCompleted", ""
    missing = []
    begun = any(record.of(container.name).run for container in pod.spec.containers)
    for container in pod.spec.init_containers or ():
        state = record.of(container.name)
        done = state.started if is_sidecar(container) else state.succeeded
        if not done and not begun:
            missing.append(container.name)
    if missing:
        return "False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(missing)}]"
    return "True", "", ""


def _container_status(pod: Pod, container: Container, record: PodRecord, *, init: bool) -> Document:
    state = record.of(container.name)
    done = init and not is_sidecar(container)
    status: Document = {
        "name": container.name,
        "state": _state(state, has_init=bool(pod.spec.init_containers)),
        "lastState": {"terminated": _terminated(state.previous)} if state.previous else {},
        "ready": state.succeeded if done else state.running and state.ready,
        "restartCount": state.restarts,
        "image": container.image,
        "imageID": f"{RUNTIME}://{container.image}" if state.run else "",
        "started": state.running and state.started,
    }
    if state.run is not None:
        status["containerID"] = f"{RUNTIME}://{state.run.id}"
    if state.waiting is not None and state.run is not None and not state.running:
        # Waiting to be started again: the run that ended is the last state.
        status["lastState"] = {"terminated": _terminated(state.run)}
    return status


def _state(state: ContainerRecord, *, has_init: bool) -> Document:
    if state.running and state.run is not None:
        return {"running": {"startedAt": stamp(state.run.started_at)}}
    if state.waiting is not None:
        waiting = {"reason": state.waiting.reason}
        return {"waiting": waiting | ({"message": state.waiting.message} if state.waiting.message else {})}
    if state.run is not None:
        return {"terminated": _terminated(state.run)}
    return {"waiting": {"reason": "PodInitializing" if has_init else "ContainerCreating"}}


def _terminated(run: Run) -> Document:
    code = run.exit_code or 0
    document: Document = {
        "exitCode": code,
        "reason": run.reason or ("Completed" if code == 0 else "Error"),
        "startedAt": stamp(run.started_at),
        "finishedAt": stamp(run.finished_at),
        "containerID": f"{RUNTIME}://{run.id}",
    }
    if run.message:
        document["message"] = run.message
    return document


def runs_from_status(statuses: Iterable[Mapping[str, Any]] | None) -> dict[str, ContainerRecord]:
    """What a reported status still tells of containers whose shim is gone: restart counts, readiness."""
    return {
        status["name"]: ContainerRecord(
            status["name"], restarts=status.get("restartCount", 0), ready=bool(status.get("ready"))
        )
        for status in statuses or ()
        if "name" in status
    }


def stamp(seconds: float) -> str:
    """RFC 3339 in whole seconds, as the API writes times."""
    return time_text(datetime.fromtimestamp(seconds, UTC))
