"""How the DNS asks for an API that is not there yet, as before the rules of its own Service."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from kubesvc.client import Client, ConnectionFailed
from kubesvc.dns.feed import Feed, FeedOptions
from kubesvc.testing.builders import namespace, service
from kubesvc.testing.local import LocalTransport


class LateTransport(LocalTransport):
    """An API in memory that nobody reaches until `there` is set; counts those who try at once."""

    def __init__(self) -> None:
        super().__init__(namespace("default"), service("web", cluster_ip="10.96.0.7"))
        self.there = asyncio.Event()
        self.trying = self.most = 0

    @asynccontextmanager
    async def stream(self, path: str, *, query: Mapping[str, str] = {}) -> AsyncIterator[AsyncIterator[bytes]]:
        if not self.there.is_set():
            self.trying += 1
            self.most = max(self.most, self.trying)
            await self.there.wait()
            raise ConnectionFailed(f"{path}: unreachable")
        async with super().stream(path, query=query) as lines:
            yield lines


async def test_one_connection_at_a_time_asks_until_the_api_is_there() -> None:
    api = LateTransport()
    taken: list[bytes] = []
    feed = Feed(Client(api), lambda row: taken.append(bytes(row)), FeedOptions())
    task = asyncio.create_task(feed.run())
    async with asyncio.timeout(5):
        while not api.trying:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        api.there.set()
        await feed.synced()
    task.cancel()
    await asyncio.wait([task])

    assert api.most == 1
    assert taken
