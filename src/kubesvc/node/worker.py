"""One pod's worker: it decides what is due, does it, and reports, from the pod's arrival to its end."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from msgspec.structs import replace

from kubesvc.api.resources import PODS
from kubesvc.api.status import ApiError, NotFound
from kubesvc.api.views import Container, ObjectReference, Pod
from kubesvc.client.errors import ConnectionFailed
from kubesvc.client.events import EventType
from kubesvc.node import decisions
from kubesvc.node.context import NodeContext
from kubesvc.node.decisions import Action, decide
from kubesvc.node.podfiles import PodFiles
from kubesvc.node.podremoval import remove_directory
from kubesvc.node.podstatus import Moment, build_status
from kubesvc.node.records import PodRecord, Waiting, all_containers
from kubesvc.node.runlog import record_exit, record_states, records_from_status
from kubesvc.node.runtime.protocol import ContainerState, Hello
from kubesvc.node.runtime.sandbox import Sandbox
from kubesvc.node.sandboxes import make_sandbox
from kubesvc.node.starting import Starter
from kubesvc.node.statuswriter import StatusWriter
from kubesvc.node.stopping import Stopper
from kubesvc.observe import log

_log = log("node.pod")
_DEFAULT_GRACE = 30
_LAST_GRACE = 1  # seconds that a pod gets whose object is deleted without any


class PodWorker:
    """Owns everything about one pod. `run` returns when nothing of it is left on the node."""

    def __init__(self, context: NodeContext, pod: Pod) -> None:
        self.pod = pod
        self.record = PodRecord()
        self.sandbox: Sandbox | None = None
        self.files = PodFiles(context.options, pod)
        self.context = context
        self._gone = False
        self._wake = asyncio.Event()
        self._status = StatusWriter(context.client, pod, context.clock)
        self.starter = Starter(self)
        self._stopper = Stopper(self)
        self._finished = pod.status.phase in ("Failed", "Succeeded")

    @property
    def name(self) -> str:
        return f"{self.pod.metadata.namespace}/{self.pod.metadata.name}"

    def update(self, pod: Pod | None) -> None:
        """The pod's object changed; None: it is gone from the API."""
        if pod is None:
            self._gone = True
        else:
            self.pod = pod
            self._status.compare(pod)
        if self.deleted:
            self._stopper.hurry(self.grace())
        self.wake()

    def wake(self) -> None:
        """Decide again soon."""
        self._wake.set()

    @property
    def deleted(self) -> bool:
        return self._gone or self.pod.metadata.deletion_timestamp is not None

    def adopt(self, sandbox: Sandbox, hello: Hello) -> None:
        """Take over what a former agent started."""
        self.record = replace(records_from_status(self.pod), sandbox="ready", attempt=hello.sandbox.attempt)
        if hello.sandbox.network is not None:
            self.record = replace(self.record, address=hello.sandbox.network.address)
        else:
            self.record = replace(self.record, address=self.context.options.node_ip)
        self.record = record_states(self.pod, self.record, hello.containers, self.files)
        self._join(sandbox)

    async def run(self) -> None:
        """Work until the pod is gone."""
        if not self.record.containers:
            self.record = records_from_status(self.pod)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                lasting = [tasks.create_task(self._status.run(), name=f"status of {self.name}")]
                for container in all_containers(self.pod):
                    self.starter.resume(container)
                if self.pod.spec.active_deadline_seconds is not None:
                    lasting.append(tasks.create_task(self._deadline(), name=f"deadline of {self.name}"))
                await self._work()
                self._stopper.disarm()
                self.starter.cancel_all()
                for task in lasting:
                    task.cancel()
        finally:
            if self.sandbox is not None:
                self.sandbox.close()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` beside, for as long as the worker runs."""
        return self._tasks.create_task(work, name=f"{name} of {self.name}")

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            decision = decide(self.pod, self.record, deleted=self.deleted, now=self.context.clock.monotonic())
            self.report()
            if decisions.Forget() in decision.actions:
                if await self._forget():
                    return
                await self._wait(self.context.clock.monotonic() + 1)
                continue
            waiting = not decision.actions
            for action in decision.actions:
                waiting = await self._do(action) or waiting
            if waiting:
                await self._wait(decision.again_at)

    async def _wait(self, until: float | None) -> None:
        if until is None:
            await self._wake.wait()
            return
        alarm = self.spawn(self._wake_at(until), "alarm")
        try:
            await self._wake.wait()
        finally:
            alarm.cancel()

    async def _wake_at(self, moment: float) -> None:
        await self.context.clock.sleep(moment - self.context.clock.monotonic())
        self.wake()

    async def _do(self, action: Action) -> bool:
        """Carry one action out; True when the next decision has to wait for something to happen."""
        match action:
            case decisions.MakeSandbox():
                await make_sandbox(self)
            case decisions.StartContainer(name=name):
                await self.starter.start(self._container(name))
            case decisions.StopPod():
                self._stopper.begin(self.grace())
                return True
            case decisions.RemoveSandbox():
                await self._remove_sandbox()
        return False

    def _container(self, name: str) -> Container:
        return next(container for container in all_containers(self.pod) if container.name == name)

    # What others tell the worker

    def join(self, sandbox: Sandbox, address: str) -> None:
        """A sandbox has been made for the pod."""
        self.record = replace(self.record, sandbox="ready", address=address, failures=0, retry_at=0.0)
        self._join(sandbox)

    def _join(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        sandbox.hear(self._on_exit, self._on_lost)

    def _on_exit(self, state: ContainerState) -> None:
        before = self.record.of(state.name).waiting
        self.record = record_exit(self.pod, self.record, state, self.files, now=self.context.clock.monotonic())
        self.starter.ended(state.name)
        if self.record.of(state.name).waiting not in (None, before):
            meta = self.pod.metadata
            whose = f"{state.name} in pod {meta.name}_{meta.namespace}({meta.uid})"
            self.event("Warning", "BackOff", f"Back-off restarting failed container {whose}", state.name)
        self.report()
        self.wake()

    def _on_lost(self) -> None:
        """The shim died, and all containers with it: their sandbox has to be made anew."""
        self.sandbox = None
        self.context.addresses.release(self.record.address)
        for state in self.record.containers.values():
            if state.running and state.run is not None:
                run = state.run
                self._on_exit(ContainerState(state.name, run.attempt, run.id, 0, run.started_at, time.time(), 137, 9))
        if self.record.sandbox == "ready":
            self.record = replace(self.record, sandbox="absent", address="", attempt=self.record.attempt + 1)
            if not self.deleted and self.record.failed is None:
                self.event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        self.wake()

    def report(self) -> None:
        """Have the API show how the pod is."""
        if self._finished or self._gone:
            return
        moment = Moment(time.time(), self.context.options.node_ip, self._status.conditions)
        self._status.put(build_status(self.pod, self.record, moment))

    def event(self, kind: EventType, reason: str, message: str, container: str = "") -> None:
        """An Event about the pod, or about one of its containers."""
        meta = self.pod.metadata
        path = ""
        if container:
            init = {each.name for each in self.pod.spec.init_containers or ()}
            path = f"spec.{'initContainers' if container in init else 'containers'}{{{container}}}"
        reference = ObjectReference("Pod", meta.namespace, meta.name, meta.uid, "v1", meta.resource_version, path)
        self.context.events.event(reference, kind, reason, message)

    def grace(self) -> float:
        """Seconds that the containers have to end, from now."""
        meta, spec = self.pod.metadata, self.pod.spec
        if self._gone and meta.deletion_timestamp is None:
            return _LAST_GRACE
        seconds = meta.deletion_grace_period_seconds if meta.deletion_timestamp is not None else None
        if seconds is None:
            seconds = spec.termination_grace_period_seconds
        return max(_DEFAULT_GRACE if seconds is None else seconds, _LAST_GRACE)

    async def wait_end(self, container: str) -> None:
        """Return once the container's present run has ended."""
        await self.starter.wait_end(container)

    async def _remove_sandbox(self) -> None:
        sandbox, self.sandbox = self.sandbox, None
        self.record = replace(self.record, sandbox="gone")
        if sandbox is not None:
            sandbox.on_lost = lambda: None
            await sandbox.stop()
            sandbox.close()
        self.context.addresses.release(self.record.address)

    async def _forget(self) -> bool:
        """Report the end, confirm the deletion, remove the files; False when the API could not be told yet."""
        meta = self.pod.metadata
        if not self._gone:
            await self._status.flushed()
            try:
                await self.context.client.delete(
                    PODS, meta.name, namespace=meta.namespace, grace_seconds=0, uid=meta.uid
                )
            except NotFound:
                pass
            except (ApiError, ConnectionFailed) as err:
                _log.debug("deletion not confirmed yet", pod=self.name, reason=err)
                return False
        self.context.references.forget(self.pod)
        remove_directory(self.files.directory)
        _log.info("pod removed", pod=self.name)
        return True

    async def _deadline(self) -> None:
        """`activeDeadlineSeconds`: the pod fails when its time is over."""
        seconds = self.pod.spec.active_deadline_seconds or 0
        await self.context.clock.sleep(self.record.started_at + seconds - time.time())
        message = "Pod was active on the node longer than the specified deadline"
        self.record = replace(self.record, failed=Waiting("DeadlineExceeded", message))
        self.event("Normal", "DeadlineExceeded", message)
        self.wake()
