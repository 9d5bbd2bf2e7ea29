"""The time from a change of endpoints to names that show it, as the metrics tell it."""

import asyncio
from typing import Any

from kubesvc.client.rest import Client
from kubesvc.dns.feed import Feed, FeedOptions
from kubesvc.dns.metrics import PROGRAMMING_BUCKETS, FeedCounts, render
from kubesvc.dns.programming import Programming
from kubesvc.testing.builders import endpoint_slice, namespace, service
from kubesvc.testing.local import LocalTransport

TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"


def test_trigger_times_of_any_precision_are_read() -> None:
    programming = Programming(now=lambda: 1_000_000_000.5)
    for trigger in ("2001-09-09T01:46:40Z", "2001-09-09T01:46:40.123456789Z", "2001-09-09T01:46:41Z"):
        programming.observe(trigger)
    for trigger in ("", "yesterday", "2001-09-09T01:46:40"):
        programming.observe(trigger)
    assert sum(programming.counts) == 3
    assert programming.counts[0] == 1  # a clock that is ahead of ours
    assert 0.87 < programming.seconds < 0.88


def test_the_page_shows_the_distribution() -> None:
    counts = [0] * (len(PROGRAMMING_BUCKETS) + 1)
    counts[0], counts[1] = 2, 1
    page = render([], FeedCounts(programming=counts, programming_seconds=0.5)).decode()
    name, kind = "coredns_kubernetes_dns_programming_duration_seconds", 'service_kind="headless_with_selector"'
    assert f'{name}_bucket{{{kind},le="0.001"}} 2' in page
    assert f"{name}_count{{{kind}}} 3" in page
    assert f"{name}_sum{{{kind}}} 0.5" in page


def triggered(name: str, *addresses: str) -> dict[str, Any]:
    document = endpoint_slice(name, *addresses)
    document["metadata"]["annotations"] = {TRIGGER: "2001-09-09T01:46:40Z"}
    return document


async def test_changes_behind_headless_services_with_a_selector_are_measured() -> None:
    bare = service("bare", cluster_ip="None")
    del bare["spec"]["selector"]
    api = LocalTransport(
        namespace("default"),
        service("db", cluster_ip="None"),
        bare,
        service("web", cluster_ip="10.96.0.7"),
        triggered("db", "10.1.0.1"),
    )
    waiting: asyncio.Queue[bytes] = asyncio.Queue()
    feed = Feed(Client(api), waiting.put_nowait, FeedOptions())
    task = asyncio.create_task(feed.run())
    await feed.synced()
    assert sum(feed.programming.counts) == 0
    while not waiting.empty():
        waiting.get_nowait()
    for name in ("web", "bare", "db"):
        api.put(triggered(name, "10.1.0.9"))
        async with asyncio.timeout(20):
            await waiting.get()
    task.cancel()
    await asyncio.wait([task])
    assert sum(feed.programming.counts) == 1
