"""A pod worker between an API in memory and a runtime that only pretends."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubesvc.api.resources import EVENTS, PODS
from kubesvc.api.views import Pod
from kubesvc.client import Client, EventRecorder
from kubesvc.node.context import NodeContext
from kubesvc.node.ipam import AddressPool
from kubesvc.node.options import NodeOptions
from kubesvc.node.references import References
from kubesvc.node.runtime.protocol import ContainerSpec, ContainerState, Hello, SandboxSpec
from kubesvc.node.runtime.sandbox import RequestFailed, RunningCommand, Sandbox
from kubesvc.node.worker import PodWorker
from kubesvc.testing.clock import VirtualClock, settle
from kubesvc.testing.local import LocalTransport

Document = dict[str, Any]


class FakeSandbox(Sandbox):
    """Remembers what it is told; `end` is a process that ends."""

    def __init__(self) -> None:
        self.lost = False
        self._unheard: list[ContainerState] = []
        self.on_exit: Callable[[ContainerState], None] = self._unheard.append
        self.on_lost: Callable[[], None] = lambda: None
        self.started: list[ContainerSpec] = []
        self.signals: list[tuple[str, int]] = []
        self.running: dict[str, ContainerState] = {}
        self.refuse = ""
        self.stopped = False

    async def start(self, spec: ContainerSpec) -> ContainerState:
        await asyncio.sleep(0)
        self.started.append(spec)
        state = ContainerState(spec.name, spec.attempt, spec.id, pid=1, started_at=time.time())
        if self.refuse:
            self.on_exit(replace_state(state, exit_code=128, error=self.refuse))
            raise RequestFailed(self.refuse)
        self.running[spec.name] = state
        return state

    def end(self, name: str, code: int = 0) -> None:
        self.on_exit(replace_state(self.running.pop(name), exit_code=code, finished_at=time.time()))

    async def signal(self, container: str, number: int) -> None:
        self.signals.append((container, number))

    async def execute(
        self, container: str, argv: Sequence[str], fds: Sequence[int], *, tty: bool = False
    ) -> RunningCommand:
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        ended.set_result(0)
        return RunningCommand(self, 1, ended)

    async def stop(self) -> None:
        self.stopped = True
        for name in tuple(self.running):
            self.end(name, 137)

    def close(self) -> None:
        self.lost = True


def replace_state(state: ContainerState, **changes: Any) -> ContainerState:
    return msgspec.structs.replace(state, **changes)


@dataclass
class FakeRuntime:
    """Makes fake sandboxes; `failures` are raised first."""

    made: list[FakeSandbox] = field(default_factory=list)
    specs: list[SandboxSpec] = field(default_factory=list)
    failures: list[OSError] = field(default_factory=list)

    async def make(self, spec: SandboxSpec) -> tuple[Sandbox, Hello]:
        if self.failures:
            raise self.failures.pop(0)
        self.specs.append(spec)
        self.made.append(FakeSandbox())
        return self.made[-1], Hello(spec, 1, time.time(), ())

    async def adopt(self, directory: Path) -> None:
        return None


@dataclass
class WorkerWorld:
    """One worker at a time."""

    api: LocalTransport
    runtime: FakeRuntime
    context: NodeContext
    clock: VirtualClock
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def begin(self, document: Document) -> PodWorker:
        """Put the pod into the API and start its worker."""
        stored = self.api.put(document)
        worker = PodWorker(self.context, msgspec.convert(stored, Pod))
        self.tasks.append(asyncio.create_task(worker.run(), name="worker"))
        self.tasks.append(asyncio.create_task(self.context.events.run(), name="events"))
        await settle(200)
        return worker

    def update(self, worker: PodWorker) -> None:
        """Tell the worker what the API has now."""
        document = self.api.document(PODS, worker.pod.metadata.name, "default")
        worker.update(None if document is None else msgspec.convert(document, Pod))

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await settle(200)

    @property
    def sandbox(self) -> FakeSandbox:
        return self.runtime.made[-1]

    def status(self, name: str) -> Document:
        return dict((self.api.document(PODS, name, "default") or {}).get("status", {}))

    def container(self, name: str) -> Document:
        return dict(self.status(name)["containerStatuses"][0])

    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.api.documents(EVENTS)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[WorkerWorld]:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
    authority = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt", "namespace": "default"},
        "data": {"ca.crt": "authority"},
    }  # fmt: skip
    api, clock, runtime = LocalTransport(account, authority), VirtualClock(), FakeRuntime()
    client = Client(api)
    options = NodeOptions(
        kubeconfig=tmp_path, node_name="node-1", node_ip="192.0.2.1", pod_cidr="10.244.1.0/24", state_dir=tmp_path,
        tls_cert=tmp_path, tls_key=tmp_path, kubelet_token_file=tmp_path,
        builtins={"kubesvc/echo": lambda argv: None, "kubesvc/host": lambda argv: None},
    )  # fmt: skip
    context = NodeContext(
        options=options, client=client, events=EventRecorder(client, "kubelet", clock=clock), runtime=runtime,
        addresses=AddressPool(options.pod_cidr), references=References(client, clock), services=lambda: (),
        allocatable={}, clock=clock,
    )  # fmt: skip
    world = WorkerWorld(api, runtime, replace(context), clock)
    yield world
    for task in world.tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
