"""Makes the node known to the API and keeps it so: the Node, its status, its Lease (KEP-589).

A node whose agent was silent is marked Unknown by the controllers, and stays so until its status is
posted again: a beating Lease alone does not bring it back. So what the API shows of the node is
followed, and posted anew as soon as it is not what the agent knows to be true.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from kubesvc.aio.clock import Clock
from kubesvc.api.resources import LEASES, NODES, Key
from kubesvc.api.status import AlreadyExists, ApiError, Conflict, NotFound
from kubesvc.api.times import micro_time_text
from kubesvc.api.views import Node
from kubesvc.client import Client, Informer
from kubesvc.client.errors import ConnectionFailed
from kubesvc.node.nodeobject import Machine, new_node, node_labels, node_status, shows_healthy
from kubesvc.node.options import NodeOptions
from kubesvc.observe import log

_log = log("node.registration")
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
HEARTBEAT_SECONDS = 10.0
STATUS_SECONDS = 300.0
# However often others overwrite the status, it is posted no more often than this.
STATUS_PAUSE_SECONDS = 1.0
_FIRST_DELAY = 0.05
_LONGEST_DELAY = 5.0


class Registration:
    """Registers once, then beats until cancelled."""

    def __init__(self, client: Client, options: NodeOptions, machine: Machine, clock: Clock) -> None:
        self._client = client
        self._options = options
        self._machine = machine
        self._clock = clock

    async def register(self) -> None:
        """Return once the API knows the node and its present status."""
        delay = _FIRST_DELAY
        while True:
            try:
                await self._register_once()
                _log.info("node registered", node=self._options.node_name)
                return
            except (ApiError, ConnectionFailed) as err:
                _log.debug("not registered yet", reason=err, delay_s=delay)
            await self._clock.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    async def run(self, nodes: Informer[Node]) -> None:
        """Renew the Lease every ten seconds; post the status now and then, and when `nodes` shows another."""
        due = asyncio.Event()

        def changed(key: Key, _: Node | None, new: Node | None) -> None:
            if key == self._key and (new is None or not shows_healthy(new)):
                due.set()

        nodes.subscribe(changed)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat(nodes.objects, due), name="heartbeat")
            tasks.create_task(self._post_when(due), name="node status")

    async def _beat(self, nodes: Mapping[Key, Node], due: asyncio.Event) -> None:
        next_status = self._clock.monotonic() + STATUS_SECONDS
        while True:
            try:
                await self._renew_lease()
            except (ApiError, ConnectionFailed) as err:
                _log.warning("heartbeat failed", reason=err)
            node = nodes.get(self._key)
            if node is None or not shows_healthy(node) or self._clock.monotonic() >= next_status:
                next_status = self._clock.monotonic() + STATUS_SECONDS
                due.set()
            await self._clock.sleep(HEARTBEAT_SECONDS)

    async def _post_when(self, due: asyncio.Event) -> None:
        while True:
            await due.wait()
            due.clear()
            pause = STATUS_PAUSE_SECONDS
            try:
                await self._register_once()
                _log.info("node status posted", node=self._options.node_name)
            except (ApiError, ConnectionFailed) as err:
                _log.warning("node status not posted", reason=err)
                pause = _LONGEST_DELAY
                due.set()
            await self._clock.sleep(pause)

    @property
    def _key(self) -> Key:
        return Key("", self._options.node_name)

    async def _register_once(self) -> None:
        now = self._clock.now().timestamp()
        try:
            await self._client.create(NODES, new_node(self._options, self._machine, now))
        except AlreadyExists:
            await self._update_existing(now)

    async def _update_existing(self, now: float) -> None:
        name = self._options.node_name
        node = await self._client.get(NODES, name, view=Node)
        labels = node_labels(self._options, self._machine)
        patch: dict[str, Any] = {}
        if any((node.metadata.labels or {}).get(key) != value for key, value in labels.items()):
            patch["metadata"] = {"labels": labels}
        if not node.spec.pod_cidr:
            patch["spec"] = {"podCIDR": self._options.pod_cidr, "podCIDRs": [self._options.pod_cidr]}
        if patch:
            await self._client.patch(NODES, name, patch)
        known = {c.type: (c.status, c.last_transition_time or "") for c in node.status.conditions or ()}
        status = node_status(self._options, self._machine, now, known)
        await self._client.patch(NODES, name, {"status": status}, kind="strategic", subresource="status")

    async def _renew_lease(self) -> None:
        name, now = self._options.node_name, micro_time_text(self._clock.now())
        try:
            await self._client.patch(LEASES, name, {"spec": {"renewTime": now}}, namespace=LEASE_NAMESPACE)
        except NotFound:
            try:
                await self._client.create(LEASES, _lease(name, now), namespace=LEASE_NAMESPACE)
            except (AlreadyExists, Conflict):
                return


def _lease(name: str, now: str) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now},
    }
