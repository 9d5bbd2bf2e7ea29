"""A network namespace, the iptables in it, and backends that come and go: for the tests of iptables mode."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.unit.proxy.proxy_engines import Place, plans_of, tracker_of

from kubesvc.linux import netns
from kubesvc.linux.iptables import Iptables
from kubesvc.proxy.iptables.backend import IptablesBackend
from kubesvc.proxy.model import Family, PortPlan, ServicePortName
from kubesvc.testing.builders import endpoint_slice, service

VARIANTS = ("nft", "legacy")


@contextmanager
def namespace() -> Iterator[None]:
    """A network namespace of one's own, which this thread is in."""
    name = f"kpi{os.getpid()}"
    netns.create(name)
    try:
        with netns.entered(name):
            yield
    finally:
        netns.delete(name)


class Recorder(Iptables):
    """iptables that remembers what it was fed."""

    def __init__(self, *, ipv6: bool = False, variant: str) -> None:
        super().__init__(ipv6=ipv6, variant=variant)
        self.texts: list[str] = []

    async def restore(self, text: str) -> None:
        self.texts.append(text)
        await super().restore(text)

    @property
    def touched(self) -> set[str]:
        """The chains of all changes so far, and of the lines that changed them."""
        return {line.split()[1] for text in self.texts for line in text.splitlines() if line.startswith("-")}


class Kernel:
    """Proxies that come and go, and one kernel that stays."""

    def __init__(self, variant: str, place: Place) -> None:
        self.variant, self.place = variant, place
        self.start()

    def start(self) -> None:
        """Begin with another process' knowledge: none."""
        self.iptables = Recorder(ipv6=self.place.family is Family.IPV6, variant=self.variant)
        self.backend = IptablesBackend(self.place.settings, self.iptables)

    def restart(self) -> None:
        self.backend.close()
        self.start()

    def run(self, *arguments: str) -> str:
        command = [self.iptables.name, "-w", "5", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def save(self) -> list[str]:
        """All rules and chains, in an order that does not depend on when they were made."""
        lines = [line for each in ("nat", "filter") for line in self.iptables.save_now(each)]
        return sorted(line.partition(" [")[0] for line in lines if not line.startswith("#"))


Kernels = Callable[..., Kernel]
"""Makes one from a variant, and a place if not the usual one."""


@contextmanager
def kernels() -> Iterator[Kernels]:
    """Kernels in this namespace; what they opened is closed at the end."""
    made: list[Kernel] = []

    def make(variant: str, place: Place | None = None) -> Kernel:
        made.append(Kernel(variant, place or Place()))
        return made[-1]

    yield make
    for each in made:
        each.backend.close()


def services(*documents: Any) -> dict[ServicePortName, PortPlan]:
    return plans_of(tracker_of(Place(), documents))


def some(count: int = 5) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(count):
        made.append(service(f"s{number}", port=80, cluster_ip=f"10.96.1.{number + 1}"))
        made.append(endpoint_slice(f"s{number}", *(f"10.244.7.{n}@node-b" for n in range(number % 4)), port=8080))
    return made
