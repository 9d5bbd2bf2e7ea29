"""Where nothing is in force yet, the API's and the DNS's Services are served before anything is listed."""

import errno
from collections.abc import Mapping

from kubesvc.api import views
from kubesvc.client import Client
from kubesvc.proxy.backend import SyncReport
from kubesvc.proxy.early import serve_critical
from kubesvc.proxy.family import FamilyProxy
from kubesvc.proxy.model import Family, PortPlan, ServicePortName
from kubesvc.proxy.rules import RuleSettings
from kubesvc.proxy.tracker import Tracker
from kubesvc.testing.builders import endpoint_slice, node, service
from kubesvc.testing.local import LocalTransport


class Preloads:
    """A backend that remembers what it was asked to load first."""

    def __init__(self, trouble: OSError | None = None) -> None:
        self.plans: dict[ServicePortName, PortPlan] = {}
        self._trouble = trouble

    async def preload(self, plans: Mapping[ServicePortName, PortPlan]) -> None:
        if self._trouble:
            raise self._trouble
        self.plans = dict(plans)

    async def sync(self, changes: Mapping[ServicePortName, PortPlan | None]) -> SyncReport:
        raise NotImplementedError

    async def full_sync(self, plans: Mapping[ServicePortName, PortPlan]) -> SyncReport:
        raise NotImplementedError

    def configure(self, settings: RuleSettings) -> bool:
        raise NotImplementedError

    def intact(self) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


async def preload(
    api: LocalTransport, trouble: OSError | None = None
) -> tuple[dict[ServicePortName, PortPlan], list[views.Node]]:
    backend, nodes = Preloads(trouble), list[views.Node]()
    family = FamilyProxy(Tracker(Family.IPV4, "node-a"), backend)
    await serve_critical(Client(api), [family], "node-a", nodes.append)
    return backend.plans, nodes


async def test_only_the_critical_services_are_loaded_with_their_endpoints() -> None:
    api = LocalTransport(
        node("node-a", ip="192.0.2.1"),
        service("kubernetes", port=443, cluster_ip="10.96.0.1"),
        endpoint_slice("kubernetes", "192.0.2.7", port=6443),
        service("web", port=80, cluster_ip="10.96.0.9"),
        endpoint_slice("web", "10.244.0.7@node-a", port=8080),
    )
    plans, nodes = await preload(api)
    assert {name.service: plan.cluster for name, plan in plans.items()} == {"kubernetes": (("192.0.2.7", 6443),)}
    assert [each.metadata.name for each in nodes] == ["node-a"]


async def test_trouble_is_left_to_the_first_sync() -> None:
    api = LocalTransport(node("node-a", ip="192.0.2.1"))
    api.set_reachable(reachable=False)
    assert await preload(api) == ({}, [])


async def test_whatever_error_the_kernel_answers_with_is_left_to_the_first_sync_too() -> None:
    api = LocalTransport(
        node("node-a", ip="192.0.2.1"),
        service("kubernetes", port=443, cluster_ip="10.96.0.1"),
        endpoint_slice("kubernetes", "192.0.2.7", port=6443),
    )
    plans, nodes = await preload(api, OSError(errno.ENOBUFS, "No buffer space available"))
    assert not plans
    assert [each.metadata.name for each in nodes] == ["node-a"]


async def test_a_node_that_is_not_registered_yet_is_no_reason_to_fail() -> None:
    api = LocalTransport(service("kubernetes", port=443, cluster_ip="10.96.0.1"))
    assert await preload(api) == ({}, [])
