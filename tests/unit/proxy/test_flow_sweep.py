"""When stale flows are looked for: after each change, once more, and never all the time."""

from collections.abc import Iterator

import pytest
from tests.unit.proxy.test_stale_flows import NEW, OLD, VIP, plan

from kubesvc.linux.conntrack import Flow
from kubesvc.proxy.conntrack import stale_flows
from kubesvc.proxy.model import PortPlan, Target
from kubesvc.proxy.sweep import SHARE, FlowSweep
from kubesvc.testing.clock import VirtualClock


class HandClock(VirtualClock):
    def elapse(self, seconds: float) -> None:
        """Time passes while somebody works."""
        self._elapsed += seconds


class FakeFlows:
    """A table of flows whose listing takes some seconds, and can miss flows."""

    def __init__(self, *held: Flow) -> None:
        self.clock = HandClock()
        self.held = list(held)
        self.missed: list[Flow] = []
        self.looks = 0
        self.seconds = 0.0

    def flows(self, protocol: int) -> Iterator[Flow]:
        assert protocol == 17
        self.looks += 1
        self.clock.elapse(self.seconds)
        return iter([flow for flow in self.held if flow not in self.missed])

    def unanswered(self, protocol: int) -> Iterator[Flow]:
        assert protocol == 6
        return iter([flow for flow in self.held if flow.destination == flow.reply_source])

    def delete(self, flow: Flow) -> bool:
        self.held.remove(flow)
        return True


def flow(to: Target, client: int = 1) -> Flow:
    return Flow(VIP.ip, VIP.port, to.ip, to.port, bytes([client]))


BOTH, ONLY_NEW = plan("10.1.2.3@b", "10.1.2.4@b"), plan("10.1.2.4@b")


def change(sweep: FlowSweep, old: PortPlan | None, new: PortPlan) -> None:
    stale = stale_flows(old, new)
    if stale is not None:
        sweep.add(stale)
    else:
        sweep.renew(new)


def test_a_flow_that_the_first_look_missed_is_found_by_the_second() -> None:
    table = FakeFlows(flow(OLD, 1), flow(OLD, 2), flow(NEW))
    sweep = FlowSweep(table, table.clock)
    table.missed = [flow(OLD, 2)]
    change(sweep, BOTH, ONLY_NEW)
    sweep.look(tuple)
    assert table.held == [flow(OLD, 2), flow(NEW)]

    table.missed = []
    sweep.look(tuple, again=True)

    assert table.held == [flow(NEW)]
    assert sweep.look(tuple, again=True) is None


@pytest.mark.parametrize("looked", [False, True])
def test_an_endpoint_that_came_back_keeps_its_flows(looked: bool) -> None:
    table = FakeFlows()
    sweep = FlowSweep(table, table.clock)
    change(sweep, BOTH, ONLY_NEW)
    if looked:
        sweep.look(tuple)
    change(sweep, ONLY_NEW, BOTH)
    table.held = [flow(OLD), flow(NEW)]

    sweep.look(tuple, again=True)

    assert table.held == [flow(OLD), flow(NEW)]


def test_flapping_endpoints_cost_a_small_share_of_the_time() -> None:
    table = FakeFlows()
    table.seconds = 0.5
    sweep = FlowSweep(table, table.clock)
    for _ in range(1000):
        change(sweep, BOTH, ONLY_NEW)
        sweep.look(tuple)
        change(sweep, ONLY_NEW, BOTH)
        sweep.look(tuple)
        table.clock.elapse(0.1)

    assert table.looks * table.seconds <= table.clock.monotonic() / SHARE


def test_what_became_stale_between_two_looks_is_found_by_the_next() -> None:
    table = FakeFlows(flow(OLD))
    table.seconds = 0.5
    sweep = FlowSweep(table, table.clock)
    change(sweep, None, BOTH)
    sweep.look(tuple)
    change(sweep, BOTH, ONLY_NEW)
    assert sweep.look(tuple) is None
    assert table.held == [flow(OLD)]

    table.clock.elapse(SHARE * table.seconds)
    sweep.look(tuple, again=True)

    assert table.held == []


def test_connections_that_began_before_their_address_was_a_services_are_forgotten() -> None:
    early, served, elsewhere = flow(VIP), flow(OLD), Flow("192.0.2.1", 80, "192.0.2.1", 80, b"2")
    table = FakeFlows(early, served, elsewhere)

    assert FlowSweep(table, table.clock).forget_early({VIP}) == 1
    assert table.held == [served, elsewhere]
