"""The embedded store: durability, group commit, watches, a full disk."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import pytest

from kubesvc.store.sqlite import SqliteBackend
from kubesvc.store.types import (
    ABSENT,
    Durability,
    Overrun,
    Revision,
    RevisionMismatch,
    StorageFailed,
    StorageFull,
    Write,
)


def body(text: str = "") -> bytes:
    return b'{"kind":"X","apiVersion":"v1","metadata":{"name":"x"},"text":"%s"}' % text.encode()


@contextlib.asynccontextmanager
async def opened(path: Path, *, keep_events: int = 8192, max_pages: int = 0) -> AsyncIterator[SqliteBackend]:
    backend = SqliteBackend.open(path, keep_events=keep_events, max_pages=max_pages)
    try:
        yield backend
    finally:
        await backend.close()


async def test_what_was_written_is_there_after_reopening_and_revisions_go_on(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as store:
        (first,) = await store.commit([Write("a/x", body("1"))])
        await store.commit([Write("a/x", body("2"), first.revision), Write("a/y", body())])
    async with opened(tmp_path / "db") as store:
        assert [json.loads(r.value)["text"] for r in store.list("a/").records] == ["2", ""]
        (record,) = await store.commit([Write("a/z", body())])
        assert record.revision == 4


async def test_concurrent_writes_share_commits_and_keep_their_own_revisions(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as store:
        written = await asyncio.gather(*(store.commit([Write(f"a/{n}", body())]) for n in range(100)))
        assert sorted(record.revision for (record,) in written) == list(range(1, 101))


async def test_of_two_writers_with_the_same_expectation_one_wins(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as store:
        results = await asyncio.gather(
            store.commit([Write("a/x", body("one"))]), store.commit([Write("a/x", body("two"))]), return_exceptions=True
        )
        assert [type(r) for r in results] == [tuple, RevisionMismatch]


async def test_a_watch_replays_from_a_revision_and_then_follows(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as store:
        for n in range(3):
            await store.commit([Write(f"a/{n}", body())])
        watch = store.watch("a/", after=Revision(1))
        assert [event.revision for event in await watch.next()] == [2, 3]
        await store.commit([Write("b/other", body()), Write("a/x", body())])
        assert [event.revision for event in await watch.next()] == [5]
        assert watch.progress == 5


async def test_a_slow_watcher_is_dropped_and_nobody_waits_for_it(tmp_path: Path) -> None:
    backend = SqliteBackend.open(tmp_path / "db")
    backend._hub._capacity = 2
    slow, quick = backend.watch("a/", after=ABSENT), backend.watch("a/", after=ABSENT)
    for n in range(3):
        await backend.commit([Write(f"a/{n}", body())])
        await quick.next()
    with pytest.raises(Overrun):
        await slow.next()
    await backend.close()


async def test_a_dropped_watcher_learns_so_even_when_it_is_interrupted(tmp_path: Path) -> None:
    """A bookmark of the store's revision, sent then, would let its owner go on without what it has missed."""
    async with opened(tmp_path / "db") as store:
        store._hub._capacity = 2
        watch = store.watch("a/", after=ABSENT)
        for n in range(3):
            await store.commit([Write(f"a/{n}", body())])
        watch.interrupt()
        with pytest.raises(Overrun):
            await watch.next()


async def test_a_commit_of_nothing_waits_for_those_before_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as store:
        writing = asyncio.create_task(store.commit([Write("a/x", body())]))
        await asyncio.sleep(0)
        assert store.latest("a/x") is not None
        assert await store.commit(()) == ()
        assert store.get("a/x") is not None
        await writing


async def test_old_rows_leave_the_file(tmp_path: Path) -> None:
    async with opened(tmp_path / "db", keep_events=3) as store:
        revision = ABSENT
        for n in range(20):
            ((_, _, revision),) = [
                (r.key, r.value, r.revision) for r in await store.commit([Write("a/x", body(str(n)), revision)])
            ]
    with contextlib.closing(sqlite3.connect(tmp_path / "db")) as connection:
        assert connection.execute("SELECT count(*) FROM log").fetchone()[0] <= 6
    async with opened(tmp_path / "db", keep_events=3) as store:
        assert store.revision == 20


async def _commit_all(store: SqliteBackend, transactions: Iterable[Sequence[Write]]) -> None:
    for writes in transactions:
        await store.commit(writes)


async def test_a_full_disk_is_a_clear_refusal_and_applies_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path / "db", max_pages=20) as store:
        pairs = ([Write(f"a/{n}", body("x" * 1000)), Write(f"b/{n}", body("x" * 1000))] for n in range(200))
        with pytest.raises(StorageFull, match="full"):
            await _commit_all(store, pairs)
        stored = len(store.list("a/").records)
        assert stored > 1
        assert len(store.list("b/").records) == stored
        assert store.latest(f"a/{stored}") is None
    async with opened(tmp_path / "db") as store:
        assert len(store.list("a/").records) == stored
        await store.commit([Write("a/again", body())])


def _modes(directory: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in directory.iterdir()}


async def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as store:
        await store.commit([Write("a/x", body())])
        assert _modes(tmp_path) == {0o600}


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match=r"cannot open .*/none/db: No such file or directory"):
        SqliteBackend.open(tmp_path / "none" / "db")


async def test_a_second_server_on_the_same_file_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "db"):
        with pytest.raises(StorageFailed, match=r"cannot open .*db: database is locked"):
            SqliteBackend.open(tmp_path / "db")


_WRITER = """
import asyncio, sys
from pathlib import Path
from kubesvc.store.sqlite import SqliteBackend
from kubesvc.store.types import Durability, Write
BODY = b'{"kind":"X","apiVersion":"v1","metadata":{"name":"x"}}'
async def main():
    store = SqliteBackend.open(Path(sys.argv[1]), durability=Durability(sys.argv[2]))
    async def write(worker):
        for n in range(10**6):
            await store.commit([Write(f"a/{worker}-{n}", BODY)])
            print(f"a/{worker}-{n}", flush=True)
    await asyncio.gather(*(write(worker) for worker in range(4)))
asyncio.run(main())
"""


def _keys_acknowledged_before_kill(path: Path, durability: Durability) -> list[str]:
    argv = [sys.executable, "-c", _WRITER, str(path), durability]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        acknowledged = [writer.stdout.readline().decode().strip() for _ in range(50)]
        os.kill(writer.pid, signal.SIGKILL)
        # The last line may have been cut off by the kill.
        return acknowledged + [line.decode().strip() for line in writer.stdout if line.endswith(b"\n")]


@pytest.mark.parametrize("durability", Durability)
async def test_every_acknowledged_write_survives_kill_9(tmp_path: Path, durability: Durability) -> None:
    acknowledged = _keys_acknowledged_before_kill(tmp_path / "db", durability)
    async with opened(tmp_path / "db") as store:
        assert [key for key in acknowledged if store.get(key) is None] == []


@pytest.mark.parametrize(("durability", "synchronous"), [(Durability.DISK, 2), (Durability.PROCESS, 0)])
async def test_only_the_durability_of_the_disk_waits_for_it(
    tmp_path: Path, durability: Durability, synchronous: int
) -> None:
    store = SqliteBackend.open(tmp_path / "db", durability=durability)
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (synchronous,)
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await store.commit([Write("a/x", body())])
    await store.close()
    async with opened(tmp_path / "db") as again:
        assert again.get("a/x")
