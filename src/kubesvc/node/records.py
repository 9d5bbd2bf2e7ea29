"""P: what the agent knows of a pod's containers as they run: values, from which decisions and status follow."""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from kubesvc.api.views import Container, Pod
from kubesvc.node.backoff import BackOff


class Run(msgspec.Struct, frozen=True):
    """One run of a container. Times are Unix seconds; `exit_code` is None while it runs."""

    id: str
    attempt: int
    started_at: float
    log_path: str
    finished_at: float = 0.0
    exit_code: int | None = None
    signal: int = 0
    reason: str = ""
    message: str = ""

    @property
    def running(self) -> bool:
        return self.exit_code is None


class Waiting(msgspec.Struct, frozen=True):
    """Why a container does not run: the kubelet's reason word and a sentence."""

    reason: str
    message: str = ""


class ContainerRecord(msgspec.Struct, frozen=True):
    """One container of a pod.

    `started` says that the startup probe, if any, succeeded; `ready` is the readiness probe's word.
    `retry_at` (monotonic seconds) is when it may be started again; `image_failures` counts in a row.
    """

    name: str
    run: Run | None = None
    previous: Run | None = None
    restarts: int = 0
    started: bool = False
    ready: bool = False
    waiting: Waiting | None = None
    retry_at: float = 0.0
    backoff: BackOff = msgspec.field(default_factory=BackOff)
    failures: int = 0

    @property
    def running(self) -> bool:
        return self.run is not None and self.run.running

    @property
    def succeeded(self) -> bool:
        return self.run is not None and self.run.exit_code == 0


SandboxPhase = Literal["absent", "ready", "gone"]


class PodRecord(msgspec.Struct, frozen=True):
    """One pod. `sandbox` is "gone" once it has been taken down for good."""

    sandbox: SandboxPhase = "absent"
    address: str = ""
    attempt: int = 0
    retry_at: float = 0.0
    failures: int = 0
    started_at: float = 0.0
    containers: Mapping[str, ContainerRecord] = msgspec.field(default_factory=dict)
    failed: Waiting | None = None

    def of(self, name: str) -> ContainerRecord:
        return self.containers.get(name) or ContainerRecord(name)

    def having(self, container: ContainerRecord) -> "PodRecord":
        """The record with one container's record replaced."""
        return replace(self, containers={**self.containers, container.name: container})

    @property
    def any_running(self) -> bool:
        return any(container.running for container in self.containers.values())


def is_sidecar(container: Container) -> bool:
    """An init container that goes on running beside the others (KEP-753)."""
    return container.restart_policy == "Always"


def all_containers(pod: Pod) -> tuple[Container, ...]:
    """Init containers first."""
    return (*(pod.spec.init_containers or ()), *pod.spec.containers)


def may_restart(pod: Pod, container: Container, exit_code: int, *, init: bool) -> bool:
    """Whether an ended container is started again: its own policy (sidecars), else the pod's.

    An init container that succeeded is done; one that failed is tried again unless the policy is Never.
    """
    if init and is_sidecar(container):
        return True
    policy = pod.spec.restart_policy
    if init:
        return exit_code != 0 and policy != "Never"
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)
