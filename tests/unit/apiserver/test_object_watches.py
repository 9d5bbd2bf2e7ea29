"""Watches: where they start, what they show, how they end."""

import asyncio

from tests.unit.apiserver.world import World

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
INITIAL = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
MERGE = "application/merge-patch+json"


async def make(world: World, name: str, **labels: str) -> None:
    await world.create(CONFIGMAPS, {"metadata": {"name": name, "labels": labels}})


async def relabel(world: World, name: str, value: str) -> None:
    await world.call("PATCH", f"{CONFIGMAPS}/{name}", {"metadata": {"labels": {"x": value}}}, content_type=MERGE)


async def test_a_watch_from_a_revision_replays_and_follows(world: World) -> None:
    await make(world, "before")
    revision = world.backend.revision
    await make(world, "a")
    lines = await world.watch(f"{CONFIGMAPS}?watch=1&resourceVersion={revision}")
    await relabel(world, "a", "1")
    await world.call("DELETE", f"{CONFIGMAPS}/a")
    assert await lines.names(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    await lines.close()


async def test_a_watch_from_nowhere_shows_what_is_there_first(world: World) -> None:
    await make(world, "a")
    await make(world, "b")
    for version in ("", "&resourceVersion=0"):
        lines = await world.watch(f"{CONFIGMAPS}?watch=1{version}")
        assert await lines.names(2) == [("ADDED", "a"), ("ADDED", "b")]
        await lines.close()


async def test_initial_events_end_with_an_annotated_bookmark(world: World) -> None:
    await make(world, "a")
    lines = await world.watch(f"{CONFIGMAPS}?{INITIAL}")
    assert await lines.names(1) == [("ADDED", "a")]
    bookmark = await lines.next()
    assert (bookmark["type"], bookmark["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
    metadata = bookmark["object"]["metadata"]
    assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert metadata["resourceVersion"] == str(world.backend.revision)
    await make(world, "b")
    assert await lines.names(1) == [("ADDED", "b")]
    await lines.close()


async def test_initial_events_need_their_match_rule(world: World) -> None:
    code, reason, _ = await world.refusal("GET", f"{CONFIGMAPS}?watch=1&sendInitialEvents=true")
    assert (code, reason) == (422, "Invalid")


async def test_an_object_enters_and_leaves_a_selection(world: World) -> None:
    lines = await world.watch(f"{CONFIGMAPS}?watch=1&resourceVersion={world.backend.revision}&labelSelector=x%3D1")
    await make(world, "other", x="2")
    await make(world, "a", x="2")
    await relabel(world, "a", "1")
    await relabel(world, "a", "3")
    await make(world, "b", x="1")
    assert await lines.names(3) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "b")]
    await lines.close()


async def test_a_watch_of_one_name_shows_that_one(world: World) -> None:
    await make(world, "a")
    await make(world, "b")
    lines = await world.watch(f"{CONFIGMAPS}?watch=1&fieldSelector=metadata.name%3Db")
    assert await lines.names(1) == [("ADDED", "b")]
    await lines.close()


async def test_bookmarks_come_once_a_minute_to_those_who_ask(world: World) -> None:
    revision = world.backend.revision
    url = f"{CONFIGMAPS}?watch=1&resourceVersion={revision}"
    asked, plain = await world.watch(f"{url}&allowWatchBookmarks=true"), await world.watch(url)
    wait, silent = asyncio.create_task(asked.next()), asyncio.create_task(plain.next())
    await world.create("/api/v1/namespaces", {"metadata": {"name": "elsewhere"}})
    await world.clock.advance(61)
    bookmark = await wait
    assert (bookmark["type"], bookmark["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", str(revision + 1))
    assert not silent.done()
    silent.cancel()
    await asked.close()


async def test_a_watch_ends_at_its_timeout(world: World) -> None:
    lines = await world.watch(f"{CONFIGMAPS}?watch=1&resourceVersion={world.backend.revision}&timeoutSeconds=5")
    ended = asyncio.create_task(lines.ended())
    await world.clock.advance(6)
    assert await ended


async def test_history_that_is_gone_is_expired(world: World) -> None:
    world.backend._mvcc.compacted = world.backend.revision
    code, reason, message = await world.refusal("GET", f"{CONFIGMAPS}?watch=1&resourceVersion=1")
    assert (code, reason) == (410, "Expired")
    assert message == f"too old resource version: 1 ({world.backend.revision})"


async def test_a_watcher_that_is_too_slow_is_told_to_list_again(world: World) -> None:
    world.backend._hub._capacity = 2
    lines = await world.watch(f"{CONFIGMAPS}?watch=1&resourceVersion={world.backend.revision}")
    for n in range(4):
        await make(world, f"c{n}")
    event = await lines.next()
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert await lines.ended()


async def test_a_table_watch_has_its_columns_in_the_first_event_alone(world: World) -> None:
    await make(world, "a")
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    lines = await world.watch(f"{CONFIGMAPS}?watch=1", accept=accept)
    await make(world, "b")
    first, second = await lines.next(), await lines.next()
    assert [first["object"]["rows"][0]["cells"][0], second["object"]["rows"][0]["cells"][0]] == ["a", "b"]
    assert first["object"]["columnDefinitions"]
    assert not second["object"]["columnDefinitions"]
    await lines.close()
