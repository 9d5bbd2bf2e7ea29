"""A small world for shell tests: all controllers over the in-memory API, and a kubelet in its place."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest

from kubesvc.api.resources import PODS, Key
from kubesvc.client.rest import Client
from kubesvc.controllers.run import run_controllers
from kubesvc.testing import builders
from kubesvc.testing.local import LocalTransport

DEADLINE_S = 10.0


class World:
    """The API with controllers at work on it; `kubelet` runs what is bound and ends what is deleted."""

    def __init__(self, api: LocalTransport) -> None:
        self.api = api
        self.client = Client(api)
        self._numbers = itertools.count(1)

    async def until(self, holds: Callable[[], object]) -> None:
        """Let everything run until `holds()`, at most some seconds of real time."""
        async with asyncio.timeout(DEADLINE_S):
            while not holds():
                self.kubelet()
                await asyncio.sleep(0.001)

    async def quiet(self) -> None:
        """Return when no request was made for a while."""
        async with asyncio.timeout(DEADLINE_S):
            still = 0
            while still < 20:
                before = len(self.api.calls)
                self.kubelet()
                await asyncio.sleep(0.002)
                still = still + 1 if len(self.api.calls) == before else 0

    def kubelet(self) -> None:
        for pod in self.api.documents(PODS):
            meta = pod["metadata"]
            if meta.get("deletionTimestamp"):
                self.api.remove(PODS, meta["name"], meta["namespace"])
            elif pod["spec"].get("nodeName") and not pod.get("status", {}).get("podIP"):
                self.api.put(pod | {"status": running(f"10.244.0.{next(self._numbers)}")})

    def names(self, resource: Any, namespace: str = "default") -> list[str]:
        return [obj["metadata"]["name"] for obj in self.api.documents(resource, namespace)]

    def get(self, resource: Any, name: str, namespace: str = "default") -> dict[str, Any]:
        found = self.api.document(resource, name, namespace)
        assert found is not None, Key(namespace, name)
        return found

    def requests(self, method: str, path_end: str) -> int:
        return sum(call.method == method and call.path.endswith(path_end) for call in self.api.calls)


def running(ip: str, *, ready: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    return {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": conditions}


@asynccontextmanager
async def world_with(*objects: dict[str, Any], pool: str = "192.0.2.0/30") -> AsyncIterator[World]:
    api = LocalTransport(
        builders.namespace("default"), builders.node("n1", zone="a"), builders.node("n2", zone="b"), *objects
    )
    ready = asyncio.Event()
    task = asyncio.create_task(
        run_controllers(
            Client(api),
            cluster_ca="PEM",
            pool=ip_network(pool) if pool else None,
            cluster=ip_network("10.244.0.0/16"),
            ready=ready,
        ),
        name="controllers",
    )
    waiting = asyncio.create_task(ready.wait(), name="ready")
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    try:
        yield World(api)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with world_with() as made:
        yield made


@pytest.fixture
def make_world() -> Callable[..., AbstractAsyncContextManager[World]]:
    return world_with
