"""An informer's cache follows the server through breaks, relists and bad objects."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest

from kubesvc.api.resources import SERVICES, Key
from kubesvc.api.views import Service
from kubesvc.client import Client, Informer
from kubesvc.client.transport import NO_QUERY
from kubesvc.testing.builders import service
from kubesvc.testing.clock import VirtualClock
from kubesvc.testing.local import LocalTransport

Change = tuple[str, str]


class Following:
    """An informer that runs, and the changes it told."""

    def __init__(self, api: LocalTransport, **options: object) -> None:
        self.clock = VirtualClock()
        self.informer = Informer(Client(api), SERVICES, Service, clock=self.clock, **options)  # type: ignore[arg-type]
        self.changes: list[Change] = []
        self.informer.subscribe(self._note)

    def _note(self, key: Key, old: Service | None, new: Service | None) -> None:
        self.changes.append(("deleted" if new is None else "added" if old is None else "changed", key.name))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await self.clock.advance(0.5)

    @property
    def names(self) -> set[str]:
        return {key.name for key in self.informer.objects}


@asynccontextmanager
async def following(api: LocalTransport, **options: object) -> AsyncIterator[Following]:
    follower = Following(api, **options)
    task = asyncio.create_task(follower.informer.run())
    try:
        async with asyncio.timeout(5):
            while not follower.informer.synced.is_set():
                await follower.clock.advance(0.1)
        yield follower
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("watch_list", [True, False])
async def test_the_first_sync_holds_what_the_server_has(watch_list: bool) -> None:
    async with following(LocalTransport(service("a"), service("b"), watch_list=watch_list)) as it:
        assert it.names == {"a", "b"}
        assert it.changes == [("added", "a"), ("added", "b")]


async def test_changes_arrive_in_order() -> None:
    api = LocalTransport(service("a"))
    async with following(api) as it:
        api.put(service("b"))
        api.put(service("a", port=81))
        api.remove(SERVICES, "b", "default")
        await it.until(lambda: len(it.changes) == 4)
        assert it.changes[1:] == [("added", "b"), ("changed", "a"), ("deleted", "b")]


async def test_a_watch_that_ends_is_resumed_without_a_relist() -> None:
    api = LocalTransport(service("a"))
    async with following(api) as it:
        api.break_watches()
        api.put(service("b"))
        await it.until(lambda: "b" in it.names)
        assert it.changes == [("added", "a"), ("added", "b")]
        assert not any(call.method == "GET" for call in api.calls)


async def test_an_expired_revision_brings_a_relist_seen_as_differences() -> None:
    api = LocalTransport(service("a"), service("b"))
    async with following(api) as it:
        api.set_reachable(reachable=False)
        api.remove(SERVICES, "a", "default")
        api.put(service("c"))
        api.compact()
        api.set_reachable(reachable=True)
        await it.until(lambda: "c" in it.names)
        assert it.changes[2:] == [("deleted", "a"), ("added", "c")]
        assert it.names == {"b", "c"}


async def test_an_unreachable_server_leaves_the_cache_as_it_was() -> None:
    api = LocalTransport(service("a"))
    async with following(api) as it:
        api.set_reachable(reachable=False)
        await it.clock.advance(60)
        assert it.names == {"a"}
        api.put(service("b"))
        api.set_reachable(reachable=True)
        await it.until(lambda: "b" in it.names)


async def test_a_bad_object_costs_only_itself() -> None:
    api = LocalTransport(service("a"), service("bad") | {"spec": {"ports": "many"}})
    bad: list[Key | None] = []
    async with following(api, on_bad_object=lambda key, _: bad.append(key)) as it:
        assert it.names == {"a"}
        assert bad == [Key("default", "bad")]
        api.send_raw(SERVICES, "MODIFIED", b'{"metadata":{"name":"a","namespace":"default"},"spec":7}')
        api.put(service("c"))
        await it.until(lambda: "c" in it.names)
        assert it.names == {"a", "c"}
        assert bad[1:] == [Key("default", "a")]


async def test_a_bad_object_that_is_deleted_leaves_the_cache() -> None:
    api = LocalTransport(service("a"))
    async with following(api) as it:
        api.send_raw(SERVICES, "DELETED", b'{"metadata":{"name":"a","namespace":"default"},"spec":7}')
        await it.until(lambda: not it.names)
        assert it.changes[-1] == ("deleted", "a")


async def test_a_label_selector_narrows_the_cache() -> None:
    api = LocalTransport(service("a", labels={"tier": "web"}), service("b"))
    async with following(api, label_selector="tier=web") as it:
        assert it.names == {"a"}
        api.put(service("a", labels={"tier": "db"}))
        await it.until(lambda: not it.names)


class Hasty(LocalTransport):
    """A server, or something before it, that ends every watch at once."""

    @asynccontextmanager
    async def stream(self, path: str, *, query: Mapping[str, str] = NO_QUERY) -> AsyncIterator[AsyncIterator[bytes]]:
        async with super().stream(path, query=query) as frames:
            if query.get("sendInitialEvents"):
                self.break_watches()
                yield frames
            else:
                yield _nothing()


async def _nothing() -> AsyncIterator[bytes]:
    for frame in list[bytes]():
        yield frame


async def test_a_server_that_ends_every_watch_at_once_is_asked_less_and_less_often() -> None:
    api = Hasty(service("a"))
    async with following(api) as it:
        before = len(api.calls)
        for _ in range(60):
            await it.clock.advance(1)
        assert 5 < len(api.calls) - before < 30


async def test_a_consumer_that_remembers_by_itself_sees_objects_whole_and_keeps_them_small() -> None:
    api = LocalTransport(service("a", port=80))
    seen: list[int] = []

    def retain(full: Service) -> Service:
        return Service(metadata=full.metadata)

    client = Client(api)
    informer = Informer(client, SERVICES, Service, clock=VirtualClock(), retain=retain)
    informer.subscribe(lambda _key, _old, new: seen.append(len(new.spec.ports or ()) if new else 0))
    task = asyncio.create_task(informer.run())
    async with asyncio.timeout(5):
        await informer.synced.wait()
        api.put(service("b", port=80))
        while len(seen) < 2:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == [1, 1]
    assert all(kept.spec.ports is None for kept in informer.objects.values())


@pytest.mark.parametrize("watch_list", [True, False])
async def test_a_consumer_that_trades_objects_gets_what_a_list_changes_as_it_is_read(watch_list: bool) -> None:
    kept: dict[str, Service] = {}
    traded: list[str] = []

    def transform(full: Service) -> Service:
        traded.append(full.metadata.name)
        old = kept.setdefault(full.metadata.name, full)
        if old.spec != full.spec:
            kept[full.metadata.name] = old = full
        msgspec.structs.force_setattr(old.metadata, "resource_version", full.metadata.resource_version)
        return old

    api = LocalTransport(*(service(name) for name in "abcd"), watch_list=watch_list)
    async with following(api, transform=transform) as it:
        api.set_reachable(reachable=False)
        api.remove(SERVICES, "d", "default")
        api.put(service("a"))  # another revision that says nothing new
        api.put(service("b", port=81))
        api.put(service("e"))
        api.compact()
        api.set_reachable(reachable=True)
        await it.until(lambda: it.names == {"a", "b", "c", "e"})
        assert it.changes[4:] == [("changed", "b"), ("added", "e"), ("deleted", "d")]
        assert sorted(traded[4:]) == ["a", "b", "e"]  # not "c", which is at the revision that is known


async def test_a_subscriber_that_fails_over_one_object_sees_the_next() -> None:
    api = LocalTransport(service("a"), service("odd"), service("z"))
    bad: list[Key | None] = []
    seen: list[str] = []

    def careless(key: Key, _: Service | None, __: Service | None) -> None:
        if key.name == "odd":
            raise ZeroDivisionError("by that object")
        seen.append(key.name)

    follower = Following(api, on_bad_object=lambda key, _: bad.append(key))
    follower.informer.subscribe(careless)
    task = asyncio.create_task(follower.informer.run())
    await follower.until(follower.informer.synced.is_set)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == ["a", "z"]
    assert bad == [Key("default", "odd")]
    assert follower.names == {"a", "odd", "z"}


BAD_OBJECTS = [
    b"7",
    b"[]",
    b'"\xff"',
    b'{"metadata":7}',
    b'{"metadata":{"namespace":"default"}}',
    b'{"metadata":{"name":"\xff","namespace":"default"}}',
    b'{"metadata":{"name":"a","namespace":"default"},"spec":{"ports":[{"port":"eighty"}]}}',
    b'{"metadata":{"name":"a","namespace":"default"},"spec":' + b"[" * 3000 + b"]" * 3000 + b"}",
]


@pytest.mark.parametrize("type_", ["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "NEWS"])
@pytest.mark.parametrize("raw", BAD_OBJECTS, ids=range(len(BAD_OBJECTS)))
async def test_whatever_a_watch_brings_the_next_change_is_seen(type_: str, raw: bytes) -> None:
    api = LocalTransport(service("a"), service("b"))
    async with following(api, on_bad_object=lambda *_: None) as it:
        api.send_raw(SERVICES, type_, raw)
        api.put(service("c"))
        await it.until(lambda: "c" in it.names)
        assert it.names - {"a"} == {"b", "c"}
