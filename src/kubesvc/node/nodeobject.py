"""P: the Node object as the agent registers and reports it (Node v1, as the kubelet fills it)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from kubesvc.api.views import Node
from kubesvc.node.options import NodeOptions
from kubesvc.node.podstatus import RUNTIME, stamp

KUBELET_VERSION = "v1.36.0"
MAX_PODS = 110
_ZONE = "topology.kubernetes.io/zone"


class Machine(msgspec.Struct, frozen=True):
    """What the machine says of itself; memory in KiB."""

    cpus: int
    memory_kib: int
    architecture: str
    kernel: str
    os_image: str
    machine_id: str
    boot_id: str
    version: str


def node_labels(options: NodeOptions, machine: Machine) -> dict[str, str]:
    """The labels every node has, and those it was given."""
    return {
        "kubernetes.io/hostname": options.node_name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": machine.architecture,
        **options.labels,
    }


def new_node(options: NodeOptions, machine: Machine, now: float) -> dict[str, Any]:
    """The object to create where there is none yet."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": options.node_name, "labels": node_labels(options, machine)},
        "spec": {
            "podCIDR": options.pod_cidr,
            "podCIDRs": [options.pod_cidr],
            "providerID": f"kubesvc://{options.node_name}",
        },
        "status": node_status(options, machine, now, {}),
    }


def node_status(
    options: NodeOptions, machine: Machine, now: float, transitions: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """The whole status; `transitions` are (status, time) by condition type, of the conditions in force."""
    capacity = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory_kib}Ki",
        "pods": str(MAX_PODS),
    }
    return {
        "addresses": [
            {"type": "InternalIP", "address": options.node_ip},
            {"type": "Hostname", "address": options.node_name},
        ],
        "capacity": capacity,
        "allocatable": dict(capacity),
        "conditions": [_condition(*each, now, transitions) for each in _HEALTHY],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": options.kubelet_port}},
        "nodeInfo": {
            "architecture": machine.architecture,
            "bootID": machine.boot_id,
            "containerRuntimeVersion": f"{RUNTIME}://{machine.version}",
            "kernelVersion": machine.kernel,
            "kubeProxyVersion": "",
            "kubeletVersion": f"{KUBELET_VERSION}+kubesvc.{machine.version}",
            "machineID": machine.machine_id,
            "operatingSystem": "linux",
            "osImage": machine.os_image,
            "systemUUID": machine.machine_id,
        },
    }


_HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def shows_healthy(node: Node) -> bool:
    """Whether the API shows of the node what its agent, alive, says of it."""
    shown = {condition.type: condition.status for condition in node.status.conditions or ()}
    return all(shown.get(kind) == status for kind, status, *_ in _HEALTHY)


def _condition(
    kind: str, status: str, reason: str, message: str, now: float, transitions: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    before = transitions.get(kind)
    since = before[1] if before is not None and before[0] == status else stamp(now)
    return {
        "type": kind,
        "status": status,
        "lastHeartbeatTime": stamp(now),
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
