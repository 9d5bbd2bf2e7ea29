"""P: what to do for a pod next, from its object and from what runs (kubelet's pod worker, as one function).

deleted or failed ──▶ stop containers ──▶ remove sandbox ──▶ (deleted) forget
else  sandbox ──▶ init containers, one after another, sidecars staying ──▶ containers ──▶ restarts by policy
"""

import msgspec

from kubesvc.api.views import Container, Pod
from kubesvc.node.records import ContainerRecord, PodRecord, is_sidecar, may_restart


class MakeSandbox(msgspec.Struct, frozen=True):
    """Namespaces and network."""


class StartContainer(msgspec.Struct, frozen=True):
    """Start, or restart, one container."""

    name: str


class StopPod(msgspec.Struct, frozen=True):
    """Stop whatever runs, with the pod's grace."""


class RemoveSandbox(msgspec.Struct, frozen=True):
    """Nothing runs or will run: take the namespaces down."""


class Forget(msgspec.Struct, frozen=True):
    """Confirm the deletion to the API and remove the pod's directory."""


Action = MakeSandbox | StartContainer | StopPod | RemoveSandbox | Forget


class Decision(msgspec.Struct, frozen=True):
    """The actions to take now, in order, and when (monotonic seconds) to decide again at the latest."""

    actions: tuple[Action, ...] = ()
    again_at: float | None = None


def decide(pod: Pod, record: PodRecord, *, deleted: bool, now: float) -> Decision:
    """`deleted`: the object is gone from the API, or carries a deletion timestamp."""
    if deleted or record.failed is not None or pod.status.phase in ("Failed", "Succeeded"):
        return _wind_down(record, deleted=deleted)
    if is_finished(pod, record):
        return _wind_down(record, deleted=False)
    if record.sandbox != "ready":
        return Decision((MakeSandbox(),)) if now >= record.retry_at else Decision(again_at=record.retry_at)
    return _run(pod, record, now)


def is_finished(pod: Pod, record: PodRecord) -> bool:
    """No container will run again: all have ended for good, or an init container has failed for good."""
    for container in pod.spec.init_containers or ():
        run = record.of(container.name).run
        if run is not None and run.exit_code and not may_restart(pod, container, run.exit_code, init=True):
            return True
    return all(_ended_for_good(pod, container, record.of(container.name)) for container in pod.spec.containers)


def _ended_for_good(pod: Pod, container: Container, record: ContainerRecord) -> bool:
    run = record.run
    return run is not None and run.exit_code is not None and not may_restart(pod, container, run.exit_code, init=False)


def _wind_down(record: PodRecord, *, deleted: bool) -> Decision:
    if record.any_running:
        return Decision((StopPod(),))
    if record.sandbox == "ready":
        return Decision((RemoveSandbox(),))
    return Decision((Forget(),) if deleted else ())


def _run(pod: Pod, record: PodRecord, now: float) -> Decision:
    wanted: list[tuple[Container, bool]] = []
    for container in pod.spec.init_containers or ():
        state = record.of(container.name)
        if is_sidecar(container):
            wanted.append((container, True))
            if not state.started:
                break
        elif not state.succeeded and not _past_init(pod, record):
            wanted.append((container, True))
            break
    else:
        wanted += [(container, False) for container in pod.spec.containers]
    return _start(pod, record, wanted, now)


def _past_init(pod: Pod, record: PodRecord) -> bool:
    """Init containers are not run again once a container has been started in this sandbox."""
    return any(record.of(container.name).run is not None for container in pod.spec.containers)


def _start(pod: Pod, record: PodRecord, wanted: list[tuple[Container, bool]], now: float) -> Decision:
    actions: list[Action] = []
    again: list[float] = []
    for container, init in wanted:
        state = record.of(container.name)
        if state.running:
            continue
        if state.run is not None and not may_restart(pod, container, state.run.exit_code or 0, init=init):
            continue
        if now < state.retry_at:
            again.append(state.retry_at)
        else:
            actions.append(StartContainer(container.name))
    return Decision(tuple(actions), min(again, default=None))
