"""An object that stays unreadable through many changes fills no log, and each change is counted."""

import asyncio

import msgspec
import pytest

from kubesvc.api.resources import SERVICES
from kubesvc.client import Client
from kubesvc.client.events import BURST
from kubesvc.dns.feed import Feed, FeedOptions
from kubesvc.testing.builders import service
from kubesvc.testing.local import LocalTransport


async def test_an_object_that_stays_bad_is_logged_as_rarely_as_it_would_have_events(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = LocalTransport()
    feed = Feed(Client(api), lambda row: None, FeedOptions())
    task = asyncio.create_task(feed.run())
    await feed.synced()
    bad = service("web")
    bad["spec"]["ports"] = 7
    for _ in range(2 * BURST):
        api.send_raw(SERVICES, "MODIFIED", msgspec.json.encode(bad))
    async with asyncio.timeout(5):
        while feed.bad_objects < 2 * BURST:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    said = [record.getMessage() for record in caplog.records]
    assert said.count("object skipped") == BURST
    assert said.count("object cannot be named") == BURST
