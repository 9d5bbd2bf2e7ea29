"""What a backend is to the proxier: one family's rules in the kernel."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kubesvc.api.resources import Key
from kubesvc.proxy.model import PortPlan, ServicePortName
from kubesvc.proxy.rules import RuleSettings

CRITICAL = (Key("default", "kubernetes"), Key("kube-system", "kube-dns"))
"""Services that others need to start: their rules are loaded first."""


class BackendError(Exception):
    """The kernel or its tools refuse to work; the message says what and how to go on."""


@dataclass(slots=True)
class SyncReport:
    """What a sync did: kernel objects written, and service ports the kernel refused, with its reasons."""

    writes: int = 0
    refused: dict[ServicePortName, str] = field(default_factory=dict)
    shortened: dict[ServicePortName, str] = field(default_factory=dict)
    """Service ports of which not all endpoints are served, and why."""
    rules_total: dict[str, int] = field(default_factory=dict)
    """In iptables mode: how many rules each table has of ours."""
    rules_last: dict[str, int] = field(default_factory=dict)
    """In iptables mode: how many rules this sync wrote, by table."""
    partial_failed: bool = False
    """In iptables mode: whether a partial restore was refused and everything written again."""


class Backend(Protocol):
    """Rules of one family. After a failed call, the next must be `full_sync`."""

    async def preload(self, plans: Mapping[ServicePortName, PortPlan]) -> None:
        """Put a few urgent plans in force before the first `full_sync`; does nothing where rules are already.

        Raises BackendError.
        """
        ...

    async def sync(self, changes: Mapping[ServicePortName, PortPlan | None]) -> SyncReport:
        """Put changed plans in force (None: the port is gone); raises BackendError."""
        ...

    async def full_sync(self, plans: Mapping[ServicePortName, PortPlan]) -> SyncReport:
        """Make the kernel hold exactly these plans, whatever it holds; raises BackendError."""
        ...

    def configure(self, settings: RuleSettings) -> bool:
        """Take other settings for the static rules; True if they differ, and a full sync is due."""
        ...

    def intact(self) -> bool:
        """Whether nobody else has changed our rules since the last sync; cheap."""
        ...

    def close(self) -> None:
        """Let go of the channel to the kernel; the rules stay."""
        ...
