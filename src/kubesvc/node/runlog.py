"""How a shim's words become records: runs that began, runs that ended, what earlier agents had reported."""

import os
import time
from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from kubesvc.api.views import Container, Pod
from kubesvc.node.backoff import describe
from kubesvc.node.podfiles import PodFiles
from kubesvc.node.podstatus import runs_from_status
from kubesvc.node.records import ContainerRecord, PodRecord, Run, Waiting, all_containers, is_sidecar, may_restart
from kubesvc.node.runtime.protocol import ContainerState

_MESSAGE_LIMIT = 4096
_TAIL_LINES = 80


def records_from_status(pod: Pod) -> PodRecord:
    """What the API remembers of a pod that this agent sees for the first time."""
    known = runs_from_status((*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())))
    began = datetime.fromisoformat(pod.status.start_time).timestamp() if pod.status.start_time else time.time()
    return PodRecord(containers=known, started_at=began)


def record_states(pod: Pod, record: PodRecord, states: Iterable[ContainerState], files: PodFiles) -> PodRecord:
    """The record of an adopted pod: each container's runs, oldest first, as its shim tells them."""
    for state in states:
        before = record.of(state.name)
        container = find_container(pod, state.name)
        known = _status_of(pod, state.name)
        same = known.get("containerID", "").endswith(state.id)
        record = record.having(
            replace(
                before,
                run=_run(state, files, container),
                previous=before.run,
                restarts=state.attempt,
                started=state.running and (same and bool(known.get("started"))),
                ready=state.running and (same and bool(known.get("ready"))),
                waiting=None,
            )
        )
    return record


def record_exit(pod: Pod, record: PodRecord, state: ContainerState, files: PodFiles, *, now: float) -> PodRecord:
    """The record after a run ended, with the delay before the next one; `now` is monotonic."""
    before = record.of(state.name)
    if before.run is not None and before.run.id == state.id and not before.running:
        return record  # told a second time, which must not cost a second delay
    if before.run is None or before.run.id != state.id:
        # It ended before, or instead of, its start being told.
        before = replace(before, previous=before.run or before.previous, restarts=state.attempt)
    container = find_container(pod, state.name)
    run = _run(state, files, container)
    wait, backoff = before.backoff.after_exit(run.finished_at - run.started_at)
    after = replace(before, run=run, started=False, ready=False, waiting=None, backoff=backoff, retry_at=now + wait)
    if container is not None and wait and may_restart(pod, container, run.exit_code or 0, init=is_init(pod, container)):
        after = replace(after, waiting=_crash_loop(pod, state.name, wait))
    return record.having(after)


def started_run(before: ContainerRecord, state: ContainerState, log_path: str) -> ContainerRecord:
    """The record once a new run has begun."""
    run = Run(state.id, state.attempt, state.started_at, log_path)
    return replace(before, run=run, previous=before.run or before.previous, restarts=state.attempt, waiting=None,
                   failures=0)  # fmt: skip


def next_attempt(record: ContainerRecord) -> int:
    """The number of the next run; the first is 0."""
    if record.run is not None:
        return record.run.attempt + 1
    return record.restarts + 1 if record.restarts or record.previous else 0


def find_container(pod: Pod, name: str) -> Container | None:
    return next((container for container in all_containers(pod) if container.name == name), None)


def is_init(pod: Pod, container: Container) -> bool:
    return any(each.name == container.name for each in pod.spec.init_containers or ())


def is_plain_init(pod: Pod, container: Container) -> bool:
    """An init container that has to end before the next one."""
    return is_init(pod, container) and not is_sidecar(container)


def _status_of(pod: Pod, name: str) -> dict[str, str]:
    for status in (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())):
        if status.get("name") == name:
            return status
    return {}


def _run(state: ContainerState, files: PodFiles, container: Container | None) -> Run:
    log_path = str(files.log_path(state.name, state.attempt))
    run = Run(state.id, state.attempt, state.started_at, log_path, state.finished_at, state.exit_code, state.signal)
    if state.running:
        return run
    if state.error:
        return replace(run, reason="StartError", message=f"failed to start container: {state.error}")
    message = _read_tail(files.termination_log(state.name, state.attempt))
    policy = container.termination_message_policy if container else "File"
    if not message and policy == "FallbackToLogsOnError" and state.exit_code:
        message = _last_lines(log_path)
    return replace(run, message=message)


def _crash_loop(pod: Pod, name: str, wait: float) -> Waiting:
    meta = pod.metadata
    return Waiting(
        "CrashLoopBackOff",
        f"back-off {describe(wait)} restarting failed container={name} pod={meta.name}_{meta.namespace}({meta.uid})",
    )


def _read_tail(path: os.PathLike[str]) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - _MESSAGE_LIMIT, 0))
            return file.read(_MESSAGE_LIMIT).decode(errors="replace")
    except OSError:
        return ""


def _last_lines(log_path: str) -> str:
    """The end of the log without its stamps, at most 2048 bytes or 80 lines."""
    try:
        with open(log_path, "rb") as file:
            lines = file.read()[-(1 << 16) :].splitlines()[-_TAIL_LINES:]
    except OSError:
        return ""
    return b"\n".join(line.split(b" ", 3)[-1] for line in lines)[-2048:].decode(errors="replace")
