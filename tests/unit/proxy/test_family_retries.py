"""Two families, one of which the kernel refuses: the other goes on, and the refused one is tried again."""

import pytest
from tests.unit.proxy.proxy_engines import NODE
from tests.unit.proxy.test_proxier import FakeBackend, World

from kubesvc.aio.clock import SystemClock
from kubesvc.proxy.family import FamilyProxy
from kubesvc.proxy.model import Family
from kubesvc.proxy.proxier import Proxier
from kubesvc.proxy.retries import RETRY_SECONDS, Retries
from kubesvc.proxy.tracker import Tracker
from kubesvc.testing.builders import endpoint_slice, service
from kubesvc.testing.clock import VirtualClock


class DualWorld(World):
    """A world of two families; `second` is the backend of IPv6."""

    def __init__(self) -> None:
        super().__init__()
        self.second = FakeBackend()
        families = [self.family, FamilyProxy(Tracker(Family.IPV6, NODE), self.second)]
        self.proxier = Proxier(families, *self.informers, clock=SystemClock(), health=self.health, metrics=self.metrics)


@pytest.mark.parametrize("pause", [3600.0, 0.001])
async def test_a_family_that_fails_holds_up_no_change_of_the_other(
    pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubesvc.proxy.retries.RETRY_SECONDS", (pause,))
    world = DualWorld()
    world.second.broken = True
    async with world.running():
        await world.until(lambda: bool(world.second.calls))
        world.api.put(service("web"))
        world.api.put(endpoint_slice("web", "10.1.2.3@b"))
        await world.until(lambda: any(plan.cluster for plan in world.backend.plans.values()))

        assert not world.proxier.first_sync.is_set()
        assert b'sync_failures_total{ip_family="IPv4"}' not in world.metrics.registry.render()


async def test_the_failing_family_is_tried_again_in_full_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubesvc.proxy.retries.RETRY_SECONDS", (0.001,))
    world = DualWorld()
    async with world.running():
        await world.proxier.first_sync.wait()
        world.second.broken = True
        world.api.put(service("web", cluster_ip="fd00::1", ipFamilies=["IPv6"]))
        await world.until(lambda: len(world.second.calls) > 3)
        world.second.broken = False
        await world.until(lambda: bool(world.second.plans))

    assert {what for what, _ in world.second.calls[2:]} == {"full"}


async def test_rules_of_the_healthy_family_are_repaired_while_the_other_has_never_synced() -> None:
    world = DualWorld()
    world.second.broken = True
    async with world.running():
        await world.until(lambda: bool(world.backend.calls))
        world.backend.tampered = True
        await world.until(lambda: not world.backend.tampered)


def test_each_family_waits_for_itself_and_longer_each_time() -> None:
    clock = VirtualClock()
    retries = Retries(clock)
    pauses = []
    for _ in range(7):
        retries.failed("IPv6")
        pauses.append(retries.seconds())
    assert pauses == pytest.approx([*RETRY_SECONDS, 30.0, 30.0])
    assert retries.waits("IPv6")
    assert not retries.waits("IPv4")
    retries.succeeded("IPv6")
    assert retries.seconds() is None
    assert not retries.waits("IPv6")


async def test_a_retry_is_due_when_its_pause_is_over() -> None:
    clock = VirtualClock()
    retries = Retries(clock)
    retries.failed("IPv6")
    await clock.advance(RETRY_SECONDS[0])
    assert not retries.waits("IPv6")
    assert retries.seconds() == 0.0
