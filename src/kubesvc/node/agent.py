"""The agent: one worker for every pod that the API binds to this node, and for every one that still runs here."""

import asyncio
from pathlib import Path

from kubesvc.api.resources import Key
from kubesvc.api.views import Pod
from kubesvc.client import Informer
from kubesvc.node.context import NodeContext
from kubesvc.node.podfiles import pod_directory
from kubesvc.node.podremoval import remove_directory
from kubesvc.node.runtime.protocol import Hello
from kubesvc.node.runtime.sandbox import Sandbox
from kubesvc.node.worker import PodWorker
from kubesvc.observe import log

_log = log("node.agent")
_DEFECT_SECONDS = 1.0


class Agent:
    """Keeps `workers`, by pod uid."""

    def __init__(self, context: NodeContext, pods: "Informer[Pod]") -> None:
        self._context = context
        self._pods = pods
        self.workers: dict[str, PodWorker] = {}
        self._adopted: dict[str, tuple[Sandbox, Hello]] = {}
        self._forgotten: set[str] = set()
        self._tasks: asyncio.TaskGroup | None = None

    async def adopt(self) -> None:
        """Connect to every sandbox that a former agent left; call before `run`."""
        for directory in self._directories():
            found = await self._context.runtime.adopt(directory)
            if found is not None:
                self._adopted[directory.name] = found
                network = found[1].sandbox.network
                self._context.addresses.claim([network.address] if network else [])
        if self._adopted:
            _log.info("found running pods", pods=len(self._adopted))

    async def run(self) -> None:
        """Follow the pods of the node until cancelled; they go on running then."""
        await self._pods.synced.wait()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for key, pod in tuple(self._pods.objects.items()):
                self._changed(key, None, pod)
            self._pods.subscribe(self._changed)
            await self._end_orphans()
            await asyncio.get_running_loop().create_future()

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of the pod of that name; the newest, where one is still ending."""
        found = [worker for worker in self.workers.values() if worker.name == f"{namespace}/{name}"]
        return found[-1] if found else None

    def _changed(self, key: Key, old: Pod | None, new: Pod | None) -> None:
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._forgotten.discard(old.metadata.uid)
            worker = self.workers.get(old.metadata.uid)
            if worker is not None:
                worker.update(None)
        if new is not None and new.metadata.uid not in self._forgotten:
            worker = self.workers.get(new.metadata.uid)
            if worker is None:
                self._begin(new)
            else:
                worker.update(new)

    def _begin(self, pod: Pod) -> None:
        assert self._tasks is not None
        worker = PodWorker(self._context, pod)
        adopted = self._adopted.pop(pod.metadata.uid, None)
        if adopted is not None:
            worker.adopt(*adopted)
        self.workers[pod.metadata.uid] = worker
        self._tasks.create_task(self._work(worker), name=f"pod {worker.name}")

    async def _work(self, worker: PodWorker) -> None:
        uid = worker.pod.metadata.uid
        while not await self._finished(worker):
            # A defect costs its pod, never the others: begin anew from what is true.
            await self._context.clock.sleep(_DEFECT_SECONDS)
            worker = PodWorker(self._context, self._current(worker) or worker.pod)
            adopted = await self._context.runtime.adopt(worker.files.directory)
            if adopted is not None:
                worker.adopt(*adopted)
            if self._current(worker) is None:
                worker.update(None)
            self.workers[uid] = worker
        del self.workers[uid]
        if self._current(worker) is not None:
            self._forgotten.add(uid)

    async def _finished(self, worker: PodWorker) -> bool:
        try:
            await worker.run()
        except Exception as err:
            _log.error("pod worker failed", pod=worker.name, exc=err)
            return False
        return True

    def _current(self, worker: PodWorker) -> Pod | None:
        """The worker's pod as the API has it now."""
        found = self._pods.objects.get(Key(worker.pod.metadata.namespace, worker.pod.metadata.name))
        return found if found is not None and found.metadata.uid == worker.pod.metadata.uid else None

    async def _end_orphans(self) -> None:
        """Stop what runs of pods that were deleted while no agent was there, and remove what lies around."""
        for uid, (sandbox, hello) in tuple(self._adopted.items()):
            _log.info("ending a pod that is gone from the API", pod=f"{hello.sandbox.namespace}/{hello.sandbox.name}")
            await sandbox.stop()
            sandbox.close()
            if hello.sandbox.network is not None:
                self._context.addresses.release(hello.sandbox.network.address)
            del self._adopted[uid]
        known = {pod_directory(self._context.options.state_dir, uid) for uid in self.workers}
        for directory in self._directories():
            if directory not in known:
                remove_directory(directory)

    def _directories(self) -> list[Path]:
        root = self._context.options.state_dir / "pods"
        return sorted(root.iterdir()) if root.is_dir() else []
