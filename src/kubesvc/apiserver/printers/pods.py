"""The row of a pod. STATUS is a story told from the phase, the containers' states and the deletion."""

from dataclasses import dataclass
from datetime import datetime

from kubesvc.apiserver.printers.age import human_duration, time_of
from kubesvc.apiserver.printers.columns import (
    AGE,
    NAME,
    NONE,
    Cells,
    Column,
    Document,
    Printer,
    age_of,
    name_of,
    part,
    wide,
)

_COLUMNS = (
    NAME,
    Column("Ready", "How many of the pod's containers are ready."),
    Column("Status", "The phase of the pod, or what keeps it from the next."),
    Column("Restarts", "How often containers of the pod were restarted, and how long ago the last time."),
    AGE,
    wide("IP", "The pod's address."),
    wide("Node", "The node the pod runs on."),
    wide("Nominated Node", "The node that makes room for the pod."),
    wide("Readiness Gates", "How many of the pod's readiness gates are true."),
)
_FINISHED = {
    "Succeeded": ("Succeeded", "The pod has completed successfully."),
    "Failed": ("Failed", "The pod failed."),
}


@dataclass(slots=True)
class _Tally:
    """What the containers looked at so far add up to."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: datetime | None = None

    def count_restarts(self, status: Document) -> None:
        self.restarts += status.get("restartCount") or 0
        finished = time_of(part(part(status, "lastState"), "terminated").get("finishedAt"))
        if finished and (self.last_restart is None or finished > self.last_restart):
            self.last_restart = finished

    def restarts_cell(self, now: datetime) -> str:
        if not self.restarts or self.last_restart is None:
            return str(self.restarts)
        return f"{self.restarts} ({human_duration(now - self.last_restart)} ago)"


def _cells(pod: Document, now: datetime) -> Cells:
    spec, status = part(pod, "spec"), part(pod, "status")
    tally = _tally_containers(pod)
    sidecars = [container for container in spec.get("initContainers") or () if _is_sidecar(container)]
    total = len(spec.get("containers") or ()) + len(sidecars)
    return [
        name_of(pod),
        f"{tally.ready}/{total}",
        _final_reason(pod, tally.reason),
        tally.restarts_cell(now),
        age_of(pod, now),
        (status.get("podIPs") or [{}])[0].get("ip") or status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(spec, status),
    ]


def _tally_containers(pod: Document) -> _Tally:
    status = part(pod, "status")
    reason = status.get("reason") or status.get("phase") or ""
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    tally = _Tally(reason)
    sidecars = _Tally(reason)
    initializing = _tally_init_containers(pod, tally, sidecars)
    if initializing and _condition(status, "Initialized").get("status") != "True":
        return tally
    # Restarts of finished init containers are history once the pod runs.
    tally.restarts, tally.last_restart = sidecars.restarts, sidecars.last_restart
    _tally_running(status, tally)
    return tally


def _tally_init_containers(pod: Document, tally: _Tally, sidecars: _Tally) -> bool:
    """Whether an init container is still in the way; the first one that is says why."""
    spec, status = part(pod, "spec"), part(pod, "status")
    containers = {container.get("name"): container for container in spec.get("initContainers") or ()}
    for index, entry in enumerate(status.get("initContainerStatuses") or ()):
        is_sidecar = _is_sidecar(containers.get(entry.get("name")) or {})
        tally.count_restarts(entry)
        if is_sidecar:
            sidecars.count_restarts(entry)
        state = part(entry, "state")
        terminated, waiting = state.get("terminated"), part(state, "waiting").get("reason") or ""
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if is_sidecar and entry.get("started"):
            tally.ready += bool(entry.get("ready"))
            continue
        if terminated is not None:
            tally.reason = f"Init:{_ended(terminated)}"
        elif waiting and waiting != "PodInitializing":
            tally.reason = f"Init:{waiting}"
        else:
            tally.reason = f"Init:{index}/{len(containers)}"
        return True
    return False


def _tally_running(status: Document, tally: _Tally) -> None:
    running = False
    for entry in reversed(status.get("containerStatuses") or ()):
        tally.count_restarts(entry)
        state = part(entry, "state")
        waiting = part(state, "waiting").get("reason")
        if waiting:
            tally.reason = waiting
        elif state.get("terminated") is not None:
            tally.reason = _ended(state["terminated"])
        elif entry.get("ready") and state.get("running") is not None:
            running = True
            tally.ready += 1
    if tally.reason == "Completed" and running:
        tally.reason = "Running" if _condition(status, "Ready").get("status") == "True" else "NotReady"


def _ended(terminated: Document) -> str:
    """Why a container ended: its reason, else its signal or exit code."""
    if terminated.get("reason"):
        return str(terminated["reason"])
    signal = terminated.get("signal")
    return f"Signal:{signal}" if signal else f"ExitCode:{terminated.get('exitCode') or 0}"


def _final_reason(pod: Document, reason: str) -> str:
    status = part(pod, "status")
    if not pod["metadata"].get("deletionTimestamp"):
        return reason
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return reason if status.get("phase") in _FINISHED else "Terminating"


def _is_sidecar(container: Document) -> bool:
    """An init container that keeps running beside the others (KEP-753)."""
    return container.get("restartPolicy") == "Always"


def _condition(status: Document, kind: str) -> Document:
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind:
            found: Document = condition
            return found
    return {}


def _gates(spec: Document, status: Document) -> str:
    gates = [gate.get("conditionType", "") for gate in spec.get("readinessGates") or ()]
    if not gates:
        return NONE
    true = sum(_condition(status, gate).get("status") == "True" for gate in gates)
    return f"{true}/{len(gates)}"


def _conditions(pod: Document) -> list[dict[str, str]]:
    finished = _FINISHED.get(part(pod, "status").get("phase", ""))
    if finished is None:
        return []
    reason, message = finished
    return [{"type": "Completed", "status": "True", "reason": reason, "message": message}]


PODS = Printer(_COLUMNS, _cells, _conditions)
