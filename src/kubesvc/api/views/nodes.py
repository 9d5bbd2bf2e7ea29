"""Nodes."""

from typing import Any

import msgspec

from kubesvc.api.views.base import ObjectMeta, View


class Taint(View, frozen=True):
    key: str
    effect: str
    value: str = ""
    time_added: str | None = None


class NodeSpec(View, frozen=True):
    pod_cidr: str = ""
    pod_cidrs: tuple[str, ...] | None = None
    provider_id: str = ""
    unschedulable: bool = False
    taints: tuple[Taint, ...] | None = None


class NodeAddress(View, frozen=True):
    type: str
    address: str


class NodeCondition(View, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_heartbeat_time: str | None = None
    last_transition_time: str | None = None


class DaemonEndpoint(View, frozen=True):
    port: int = msgspec.field(default=0, name="Port")


class NodeDaemonEndpoints(View, frozen=True):
    kubelet_endpoint: DaemonEndpoint = DaemonEndpoint()


class NodeStatus(View, frozen=True):
    addresses: tuple[NodeAddress, ...] | None = None
    conditions: tuple[NodeCondition, ...] | None = None
    allocatable: dict[str, Any] | None = None
    daemon_endpoints: NodeDaemonEndpoints = NodeDaemonEndpoints()


class Node(View, frozen=True):
    metadata: ObjectMeta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
