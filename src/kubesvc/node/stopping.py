"""Ending a pod's containers: preStop, SIGTERM, grace, and at its end SIGKILL for all that is left."""

import asyncio
import signal
from typing import TYPE_CHECKING

from kubesvc.api.views import Container
from kubesvc.node.hooks import run_hook
from kubesvc.node.probing import Target
from kubesvc.node.records import all_containers, is_sidecar
from kubesvc.node.runtime.sandbox import RequestFailed, SandboxGone
from kubesvc.observe import log

if TYPE_CHECKING:
    from kubesvc.node.worker import PodWorker

_log = log("node.pod")


class Stopper:
    """Stops one worker's containers, once at a time, within a grace that can only get shorter."""

    def __init__(self, worker: "PodWorker") -> None:
        self._worker = worker
        self._task: asyncio.Task[None] | None = None
        self._kill: asyncio.Task[None] | None = None
        self._kill_at = 0.0

    def begin(self, grace: float) -> None:
        """Stop everything that runs, within `grace` seconds. A no-op while that is under way."""
        if self._task is None or self._task.done():
            self._task = self._worker.spawn(self._stop_all(), "stopping")
            self._arm(grace)

    def hurry(self, grace: float) -> None:
        """A second, more impatient deletion brings the end forward; none puts it off."""
        if self._kill is not None and self._kill_at > self._worker.context.clock.monotonic() + grace:
            self._arm(grace)

    def disarm(self) -> None:
        """Forget the SIGKILL, unless it is being sent already. Idempotent."""
        if self._kill is not None:
            self._kill.cancel()
            self._kill = None

    def _arm(self, grace: float) -> None:
        self.disarm()
        self._kill_at = self._worker.context.clock.monotonic() + grace
        self._kill = self._worker.spawn(self._kill_after(grace), "the end of the grace")

    async def _kill_after(self, grace: float) -> None:
        await self._worker.context.clock.sleep(grace)
        self._kill = None
        if self._worker.sandbox is not None:
            await self._worker.sandbox.stop()

    async def _stop_all(self) -> None:
        """Main containers together, then sidecars from last to first."""
        worker = self._worker
        running = [c for c in all_containers(worker.pod) if worker.record.of(c.name).running]
        sidecars = [c for c in worker.pod.spec.init_containers or () if is_sidecar(c) and c in running]
        main = [c for c in running if c not in sidecars]
        await asyncio.gather(*(stop_container(worker, c, f"Stopping container {c.name}") for c in main))
        for sidecar in reversed(sidecars):
            await stop_container(worker, sidecar, f"Stopping container {sidecar.name}")
        self.disarm()


async def stop_container(worker: "PodWorker", container: Container, message: str) -> None:
    """preStop, SIGTERM, and wait for the end, however long it takes."""
    sandbox = worker.sandbox
    if sandbox is None:
        return
    worker.event("Normal", "Killing", message, container.name)
    worker.starter.stop_liveness(container.name)
    hook = container.lifecycle.pre_stop if container.lifecycle else None
    if hook is not None:
        target = Target(container, sandbox, worker.record.address)
        outcome = await run_hook(hook, target, limit=worker.grace(), clock=worker.context.clock)
        if not outcome.success:
            worker.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {outcome.message}", container.name)
    if worker.record.of(container.name).running:
        try:
            await sandbox.signal(container.name, signal.SIGTERM)
        except (RequestFailed, SandboxGone) as err:
            _log.debug("no signal, it has ended", pod=worker.name, container=container.name, reason=err)
    await worker.wait_end(container.name)
