"""A node's registration against an API in memory: heartbeats, and what others do to the Node."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kubesvc.api.resources import LEASES, NODES
from kubesvc.api.views import Node
from kubesvc.client import Client, Informer
from kubesvc.node.nodeobject import Machine
from kubesvc.node.options import NodeOptions
from kubesvc.node.registration import LEASE_NAMESPACE, Registration
from kubesvc.testing.clock import VirtualClock, settle
from kubesvc.testing.local import LocalTransport

MACHINE = Machine(2, 1024, "amd64", "6.1", "Debian", "m", "b", "0.1")


class Registered:
    """A node that is registered and beats."""

    def __init__(self, directory: Path) -> None:
        self.api, self.clock = LocalTransport(), VirtualClock()
        client = Client(self.api)
        options = NodeOptions(
            kubeconfig=directory, node_name="node-1", node_ip="192.0.2.1", pod_cidr="10.244.1.0/24",
            state_dir=directory, tls_cert=directory, tls_key=directory, kubelet_token_file=directory,
        )  # fmt: skip
        self.nodes = Informer(client, NODES, Node, clock=self.clock)
        self.registration = Registration(client, options, MACHINE, self.clock)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.nodes.run())
            await self.registration.register()
            await self.nodes.synced.wait()
            tasks.create_task(self.registration.run(self.nodes))

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await settle(100)

    def ready(self) -> str:
        node = self.api.document(NODES, "node-1") or {"status": {"conditions": []}}
        return next((str(c["status"]) for c in node["status"]["conditions"] if c["type"] == "Ready"), "")

    def renewed(self) -> str:
        lease: dict[str, Any] = self.api.document(LEASES, "node-1", LEASE_NAMESPACE) or {}
        return str(lease["spec"]["renewTime"])

    def status_posts(self) -> int:
        return sum(call.method == "PATCH" and call.path.endswith("nodes/node-1/status") for call in self.api.calls)

    def overwrite(self) -> None:
        """What the node lifecycle controller does to a silent node."""
        node = self.api.document(NODES, "node-1")
        assert node is not None
        for condition in node["status"]["conditions"]:
            condition |= {"status": "Unknown", "reason": "NodeStatusUnknown"}
        node["spec"]["taints"] = [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]
        self.api.put(node)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Registered]:
    registered = Registered(tmp_path)
    task = asyncio.create_task(registered.run())
    await settle(200)
    yield registered
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_the_lease_is_renewed_and_the_status_left_alone(node: Registered) -> None:
    first = node.renewed()
    await node.advance(60)
    assert (node.renewed() > first, node.ready(), node.status_posts()) == (True, "True", 0)
    await node.advance(250)
    assert node.status_posts() == 1


async def test_a_node_marked_unknown_is_posted_ready_at_once_and_its_taints_are_not_touched(node: Registered) -> None:
    node.overwrite()
    await node.advance(0)
    assert node.ready() == "True"
    stored = node.api.document(NODES, "node-1")
    assert stored is not None
    assert stored["spec"]["taints"], "the controllers take their taints away themselves"


async def test_a_mark_that_came_while_the_watch_was_broken_is_found(node: Registered) -> None:
    node.api.set_reachable(reachable=False)
    await node.advance(1)
    node.overwrite()
    node.api.compact()
    node.api.set_reachable(reachable=True)
    await node.advance(10)
    assert node.ready() == "True"


async def test_who_goes_on_overwriting_is_answered_once_a_second(node: Registered) -> None:
    await node.advance(5)
    for _ in range(20):
        node.overwrite()
        await node.advance(0)
    assert node.status_posts() == 1
    await node.advance(1)
    assert (node.ready(), node.status_posts()) == ("True", 2)


async def test_a_deleted_node_is_registered_again_at_once(node: Registered) -> None:
    await node.advance(5)
    node.api.remove(NODES, "node-1")
    await node.advance(0)
    assert node.ready() == "True"
    stored = node.api.document(NODES, "node-1")
    assert stored is not None
    assert stored["spec"]["podCIDR"] == "10.244.1.0/24"


async def test_a_status_that_the_api_does_not_take_is_posted_again(node: Registered) -> None:
    node.overwrite()
    node.api.set_reachable(reachable=False)
    await node.advance(1)
    assert node.ready() == "Unknown"
    node.api.set_reachable(reachable=True)
    await node.advance(10)
    assert node.ready() == "True"
