"""The proxy's loop without a kernel: when it writes, what it retries, what it says about itself."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import msgspec
from tests.unit.proxy.proxy_engines import NODE

from kubesvc.aio.clock import SystemClock
from kubesvc.api import views
from kubesvc.api.resources import ENDPOINTSLICES, NODES, SERVICES
from kubesvc.client import Client, Informer
from kubesvc.linux.conntrack import Flow
from kubesvc.proxy.backend import BackendError, SyncReport
from kubesvc.proxy.family import FamilyProxy
from kubesvc.proxy.health import Health
from kubesvc.proxy.metrics import ProxyMetrics
from kubesvc.proxy.model import Complaint, Family, PortPlan, ServicePortName
from kubesvc.proxy.proxier import TRIGGER_TIME, TRIGGERS_AT_MOST, Proxier
from kubesvc.proxy.rules import RuleSettings
from kubesvc.proxy.sweep import Flows
from kubesvc.proxy.tracker import Tracker
from kubesvc.testing.builders import endpoint_slice, node, service
from kubesvc.testing.local import LocalTransport


class FakeBackend:
    """Remembers what it was told; refuses while `broken`; each sync takes until `gate` is open."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, set[str]]] = []
        self.plans: dict[ServicePortName, PortPlan] = {}
        self.broken = False
        self.error: Exception = BackendError("no kernel today")
        self.tampered = False
        self.refuses = ""
        self.shortens = ""
        self.gate = asyncio.Event()
        self.gate.set()

    async def preload(self, plans: Mapping[ServicePortName, PortPlan]) -> None:
        self.calls.append(("preload", {name.service for name in plans}))

    async def sync(self, changes: Mapping[ServicePortName, PortPlan | None]) -> SyncReport:
        await self._begin("sync", changes)
        for name, plan in changes.items():
            if plan is None:
                self.plans.pop(name, None)
            else:
                self.plans[name] = plan
        refused = {name: "no" for name in changes if name.service == self.refuses}
        shortened = {name: "only 1 of 2" for name in changes if name.service == self.shortens}
        return SyncReport(writes=len(changes), refused=refused, shortened=shortened)

    async def full_sync(self, plans: Mapping[ServicePortName, PortPlan]) -> SyncReport:
        await self._begin("full", plans)
        self.plans = dict(plans)
        self.tampered = False
        return SyncReport(writes=len(plans))

    async def _begin(self, what: str, names: Mapping[ServicePortName, object]) -> None:
        self.calls.append((what, {name.service for name in names}))
        await self.gate.wait()
        if self.broken:
            raise self.error

    def configure(self, settings: RuleSettings) -> bool:
        return False

    def intact(self) -> bool:
        if self.broken:
            raise self.error
        return not self.tampered

    def close(self) -> None:
        pass


class World:
    def __init__(self, flows: Flows | None = None) -> None:
        self.api = LocalTransport(node(NODE, ip="192.0.2.1"))
        self.backend = FakeBackend()
        self.family = FamilyProxy(Tracker(Family.IPV4, NODE), self.backend, flows)
        self.health = Health(patience=60)
        self.metrics = ProxyMetrics("nftables")
        client = Client(self.api)
        self.informers = (
            Informer(client, SERVICES, views.Service),
            Informer(client, ENDPOINTSLICES, views.EndpointSlice),
            Informer(client, NODES, views.Node),
        )
        self.complaints: list[Complaint] = []
        self.proxier = Proxier(
            [self.family],
            *self.informers,
            clock=SystemClock(),
            health=self.health,
            metrics=self.metrics,
            complain=self.complaints.append,
        )

    @asynccontextmanager
    async def running(self, *, watched: int = 3) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(informer.run()) for informer in self.informers[:watched]]
        tasks.append(asyncio.create_task(self.proxier.run()))
        tasks.append(asyncio.create_task(self.proxier.watch_rules()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)


async def test_nothing_is_written_before_every_cache_is_complete() -> None:
    world = World()
    world.api.put(service("web"))
    async with world.running(watched=1):
        await world.informers[0].synced.wait()
        await asyncio.sleep(0)

        assert world.backend.calls == []
        assert not world.health.ready(0)


async def test_the_first_sync_is_complete_and_later_ones_name_what_changed() -> None:
    world = World()
    world.api.put(service("web"))
    world.api.put(service("other", cluster_ip="10.96.0.2"))
    async with world.running():
        await world.proxier.first_sync.wait()
        world.api.put(endpoint_slice("web", "10.1.2.3@b"))
        await world.until(lambda: len(world.backend.calls) == 2)

    assert world.backend.calls == [("full", {"web", "other"}), ("sync", {"web"})]


async def test_critical_services_go_first() -> None:
    world = World()
    world.api.put(service("web"))
    world.api.put(service("kube-dns", namespace="kube-system", cluster_ip="10.96.0.10"))
    async with world.running():
        await world.proxier.first_sync.wait()

    assert world.backend.calls == [("preload", {"kube-dns"}), ("full", {"web", "kube-dns"})]


async def test_changes_during_a_sync_are_taken_together_by_the_next() -> None:
    world = World()
    world.api.put(service("web"))
    async with world.running():
        await world.proxier.first_sync.wait()
        world.backend.gate.clear()
        world.api.put(endpoint_slice("web", "10.1.2.3@b"))
        await world.until(lambda: len(world.backend.calls) == 2)
        for number in range(50):
            world.api.put(service(f"more-{number}", cluster_ip=f"10.96.1.{number + 1}"))
        await world.until(lambda: len(world.family.tracker) == 51)
        world.backend.gate.set()
        await world.until(lambda: len(world.backend.plans) == 51)

    assert len(world.backend.calls) == 3


async def test_a_failed_sync_is_followed_by_a_full_one() -> None:
    world = World()
    world.api.put(service("web"))
    async with world.running():
        await world.proxier.first_sync.wait()
        world.backend.broken = True
        world.api.put(endpoint_slice("web", "10.1.2.3@b"))
        await world.until(lambda: len(world.backend.calls) > 2)
        assert {what for what, _ in world.backend.calls[2:]} == {"full"}
        world.backend.broken = False
        await world.until(lambda: any(plan.cluster for plan in world.backend.plans.values()))

    assert b"kubeproxy_sync_proxy_rules_nftables_sync_failures_total" in world.metrics.registry.render()


async def test_a_change_by_somebody_else_is_answered_by_a_full_sync() -> None:
    world = World()
    world.api.put(service("web"))
    async with world.running():
        await world.proxier.first_sync.wait()
        world.backend.tampered = True
        await world.until(lambda: not world.backend.tampered)

    assert world.backend.calls[-1] == ("full", {"web"})


async def test_an_unchanged_plan_writes_nothing() -> None:
    world = World()
    world.api.put(service("web"))
    world.api.put(endpoint_slice("web", "10.1.2.3@b"))
    async with world.running():
        await world.proxier.first_sync.wait()
        world.api.put(endpoint_slice("web", "10.1.2.3@b", labels={"more": "labels"}))
        world.api.put(service("other", cluster_ip="10.96.0.2"))
        await world.until(lambda: len(world.backend.plans) == 2)

    assert world.backend.calls[1:] == [("sync", {"other"})]


async def test_local_policies_without_endpoints_here_are_counted() -> None:
    world = World()
    world.api.put(service("web", internalTrafficPolicy="Local"))
    world.api.put(endpoint_slice("web", "10.1.2.3@elsewhere"))
    async with world.running():
        await world.proxier.first_sync.wait()

    rendered = world.metrics.registry.render().decode()
    assert 'no_local_endpoints_total{ip_family="IPv4",traffic_policy="internal"} 1' in rendered
    assert 'no_local_endpoints_total{ip_family="IPv4",traffic_policy="external"} 0' in rendered


async def test_a_refused_port_is_reported_once_and_counted() -> None:
    world = World()
    async with world.running():
        await world.proxier.first_sync.wait()
        world.backend.refuses = "bad"
        world.api.put(service("bad"))
        await world.until(lambda: bool(world.complaints))
        world.api.put(endpoint_slice("bad", "10.1.2.3@b"))
        await world.until(lambda: len(world.backend.calls) == 3)

    assert [(each.name, each.reason) for each in world.complaints] == [("bad", "FailedToSyncRules")]
    assert b'kubesvc_proxy_refused_ports{ip_family="IPv4"} 1' in world.metrics.registry.render()


async def test_who_has_a_contested_address_is_said_once_and_again_when_it_changes() -> None:
    world = World()
    for name, number in (("first", 1), ("second", 2)):
        made = service(name, cluster_ip=f"10.96.0.{number}", externalIPs=["203.0.113.5"])
        made["metadata"]["creationTimestamp"] = f"2026-01-0{number}T00:00:00Z"
        world.api.put(made)
    async with world.running():
        await world.proxier.first_sync.wait()
        world.api.put(endpoint_slice("second", "10.1.2.3@b"))
        await world.until(lambda: len(world.backend.calls) == 2)

    assert [(each.name, each.reason) for each in world.complaints] == [("second", "AddressInUse")]


async def test_of_two_slices_with_one_endpoint_it_is_chosen_once() -> None:
    world = World()
    world.api.put(service("web"))
    world.api.put(endpoint_slice("web", "10.1.2.3@b", name="web-1"))
    world.api.put(endpoint_slice("web", "10.1.2.3@b", "10.1.2.4@b", name="web-2"))
    async with world.running():
        await world.proxier.first_sync.wait()
        (plan,) = world.backend.plans.values()
        assert [target.ip for target in plan.cluster] == ["10.1.2.3", "10.1.2.4"]
        world.api.remove(ENDPOINTSLICES, "web-2", "default")
        await world.until(lambda: len(world.backend.calls) == 2)

    (plan,) = world.backend.plans.values()
    assert [target.ip for target in plan.cluster] == ["10.1.2.3"]


async def test_syncs_that_keep_failing_make_the_proxy_unhealthy_until_one_succeeds() -> None:
    world = World()
    world.api.put(service("web"))
    async with world.running():
        await world.proxier.first_sync.wait()
        world.backend.broken = True
        world.api.put(endpoint_slice("web", "10.1.2.3@b"))
        await world.until(lambda: not world.health.live(SystemClock().monotonic() + 61))
        world.backend.broken = False
        await world.until(lambda: world.health.live(SystemClock().monotonic() + 61))


async def test_changes_during_a_long_failure_take_no_more_and_more_memory() -> None:
    world = World()
    world.api.put(service("web"))
    async with world.running():
        await world.proxier.first_sync.wait()
        world.backend.broken = True
        slice_ = endpoint_slice("web", "10.1.2.3@b")
        slice_["metadata"]["annotations"] = {TRIGGER_TIME: "2100-01-01T00:00:00Z"}
        for index in range(TRIGGERS_AT_MOST + 500):
            slice_["endpoints"][0]["addresses"] = [f"10.1.2.{index % 250 + 1}"]
            world.api.send_raw(ENDPOINTSLICES, "MODIFIED", msgspec.json.encode(slice_))
        slice_["endpoints"][0]["addresses"] = ["10.9.9.9"]
        world.api.put(slice_)
        await world.until(lambda: len(world.proxier._triggers) == TRIGGERS_AT_MOST)
        world.backend.broken = False
        await world.until(lambda: not world.proxier._triggers)

    ((_, plan),) = world.backend.plans.items()
    assert [target.ip for target in plan.cluster] == ["10.9.9.9"]


async def test_a_service_with_more_endpoints_than_a_backend_can_choose_from_is_told_so() -> None:
    world = World()
    world.backend.shortens = "web"
    async with world.running():
        await world.proxier.first_sync.wait()
        world.api.put(service("web"))
        await world.until(lambda: bool(world.complaints))

    (complaint,) = world.complaints
    assert (complaint.name, complaint.reason) == ("web", "TooManyEndpoints")
    assert complaint.message == "default/web: only 1 of 2"


class DeafFlows:
    """A kernel without connection tracking."""

    def flows(self, protocol: int) -> list[Flow]:
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

    unanswered = flows

    def delete(self, flow: Flow) -> bool:
        raise AssertionError("there is none")


async def test_whatever_the_kernel_answers_the_sync_is_tried_again() -> None:
    world = World(DeafFlows())
    world.backend.broken, world.backend.error = True, OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
    world.api.put(service("dns", port=53, protocol="UDP"))
    async with world.running():
        await world.until(lambda: bool(world.backend.calls))
        world.backend.broken = False
        await world.proxier.first_sync.wait()

    assert [name.service for name in world.backend.plans] == ["dns"]
