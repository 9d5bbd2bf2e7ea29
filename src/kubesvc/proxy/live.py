"""The rules that are in a kernel now, whichever backend made them: what `kubesvc trace` walks through."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from kubesvc.proxy.model import PortPlan, ServicePortName, Target
from kubesvc.proxy.trace import Engine, Memory


class Counts(NamedTuple):
    """How many connections asked for each service port and went to each of its endpoints, since the rules were made."""

    services: dict[ServicePortName, int]
    endpoints: dict[tuple[ServicePortName, Target], int]


class LiveRules(Protocol):
    """One family's rules as they were when they were read."""

    backend: str

    def engine(self, local: Iterable[str]) -> Engine:
        """A tracer's engine; `local` are the addresses of the node."""
        ...

    def memory(self, source: str) -> Memory:
        """Which endpoints the kernel remembers for this client, by session affinity."""
        ...

    def differences(self, plans: Mapping[ServicePortName, PortPlan]) -> list[str]:
        """Where the kernel holds something else than these plans ask for; one line each."""
        ...

    def counts(self, plans: Mapping[ServicePortName, PortPlan]) -> Counts:
        """The counters of these ports."""
        ...
