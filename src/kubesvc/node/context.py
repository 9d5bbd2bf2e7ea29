"""What the workers of all pods of a node share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kubesvc.aio.clock import Clock
from kubesvc.api.views import Service
from kubesvc.client import Client, EventRecorder
from kubesvc.node.ipam import AddressPool
from kubesvc.node.options import NodeOptions
from kubesvc.node.references import References
from kubesvc.node.runtime.protocol import Hello, SandboxSpec
from kubesvc.node.runtime.sandbox import Sandbox


class Runtime(Protocol):
    """Makes sandboxes, and finds those that a former agent left running."""

    async def make(self, spec: SandboxSpec) -> tuple[Sandbox, Hello]:
        """OSError says why it cannot."""
        ...

    async def adopt(self, directory: Path) -> tuple[Sandbox, Hello] | None:
        """The sandbox of a pod directory; None when none is alive."""
        ...


@dataclass(frozen=True, slots=True)
class NodeContext:
    """Handed to every pod's worker."""

    options: NodeOptions
    client: Client
    events: EventRecorder
    runtime: Runtime
    addresses: AddressPool
    references: References
    services: Callable[[], Iterable[Service]]
    allocatable: dict[str, Any]
    clock: Clock
    mtu: int = 1500
