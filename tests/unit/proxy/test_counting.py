"""Counters of the kernel that begin anew, as sums that only grow."""

import asyncio
import errno
import threading
from collections.abc import Mapping

import pytest

from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.counters_page import CountersPage, FamilyCounters
from kubesvc.proxy.counting import LEAST_SECONDS, ConnectionCounts, DropCount, Totals, add_up
from kubesvc.proxy.live import Counts
from kubesvc.proxy.model import PortPlan, ServicePortName
from kubesvc.testing.clock import VirtualClock

WEB = ServicePortName("default", "web", "", "TCP")
LINE = 'kubesvc_proxy_service_connections_total{namespace="default",service="web",port="",protocol="TCP"}'


def test_a_counter_that_begins_anew_takes_nothing_away() -> None:
    totals: Totals[str] = Totals()
    for number in (5, 8, 2, 3):
        totals.update({"web": number})

    assert totals.values == {"web": 9}


def test_what_is_gone_is_not_shown() -> None:
    totals: Totals[str] = Totals()
    totals.update({"web": 5, "other": 1})
    totals.update({"web": 5})

    assert totals.values == {"web": 5}


def test_families_are_added_up() -> None:
    assert add_up([{"web": 5}, {"web": 1, "six": 2}]) == {"web": 6, "six": 2}


async def test_the_kernel_is_not_asked_more_often_than_it_may() -> None:
    clock = VirtualClock()
    looks: list[int] = []

    def read(_: Mapping[ServicePortName, PortPlan]) -> Counts:
        looks.append(1)
        return Counts({WEB: len(looks)}, {})

    page = CountersPage([FamilyCounters({}, ConnectionCounts(read), None)], clock, endpoints=False)
    assert f"{LINE} 1" in await lines(page)
    assert f"{LINE} 1" in await lines(page)
    await clock.advance(LEAST_SECONDS)
    assert f"{LINE} 2" in await lines(page)


async def test_who_gives_up_does_not_end_a_look_and_the_next_waits_for_it() -> None:
    began, may_end = threading.Event(), threading.Event()
    looks: list[int] = []

    def read(_: Mapping[ServicePortName, PortPlan]) -> Counts:
        looks.append(1)
        began.set()
        may_end.wait(5)
        return Counts({WEB: len(looks)}, {})

    clock = VirtualClock()
    page = CountersPage([FamilyCounters({}, ConnectionCounts(read), None)], clock, endpoints=False)
    first = asyncio.create_task(page.text())
    assert await asyncio.to_thread(began.wait, 5)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await clock.advance(100 * LEAST_SECONDS)
    second = asyncio.create_task(lines(page))
    third = asyncio.create_task(lines(page))
    may_end.set()

    assert f"{LINE} 1" in await second
    assert f"{LINE} 1" in await third
    assert len(looks) == 1


@pytest.mark.parametrize("trouble", [BackendError("no kernel today"), OSError(errno.EMFILE, "Too many open files")])
async def test_trouble_leaves_the_counts_as_they_were(trouble: Exception) -> None:
    clock = VirtualClock()
    answers = [Counts({WEB: 7}, {})]

    def read(_: Mapping[ServicePortName, PortPlan]) -> Counts:
        if not answers:
            raise trouble
        return answers.pop()

    page = CountersPage([FamilyCounters({}, ConnectionCounts(read), None)], clock, endpoints=False)
    for _ in range(2):
        assert f"{LINE} 7" in await lines(page)
        await clock.advance(LEAST_SECONDS)
    assert not answers


async def test_invalid_packets_are_counted_where_they_are_dropped() -> None:
    clock = VirtualClock()
    answers = [3, 5, 1]  # the chain is written anew before the last look
    drops = [DropCount(lambda: answers.pop(0)), DropCount(lambda: 10)]
    families = [FamilyCounters({}, ConnectionCounts(lambda _: Counts({}, {})), None, each) for each in drops]
    page = CountersPage(families, clock, endpoints=False)

    for total in (13, 15, 15):
        assert f"kubeproxy_iptables_ct_state_invalid_dropped_packets_total {total}" in await lines(page)
        await clock.advance(LEAST_SECONDS)


async def lines(page: CountersPage) -> list[str]:
    return (await page.text()).decode().splitlines()
