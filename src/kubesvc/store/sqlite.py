"""The embedded store: SQLite holds what must survive, memory answers every read.

One table, append only: `log(revision, key, value)`, a NULL value being a deletion. The current state of all
objects and the bounded history are kept in memory (`mvcc`), as the very bytes that answers consist of.

Group commit: while one transaction is on its way to the disk, in a thread of its own, further writes gather;
they share the next transaction and its one fsync (WAL, synchronous=FULL; Durability.PROCESS does without). A write
is acknowledged, and shown to readers and watchers, only after that. Rows that neither state nor history need are
deleted along the way.

The database is locked exclusively: a second server on the same file is refused at once.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from kubesvc.store.mvcc import Mvcc, Staged
from kubesvc.store.types import Durability, Page, Record, Revision, StorageFailed, StorageFull, Watch, Write
from kubesvc.store.watch import WatchHub

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_Pending = tuple[Staged, "asyncio.Future[None]"]


class SqliteBackend:
    """A `Backend` on one SQLite file. Use from one event loop; `close` flushes what was accepted."""

    def __init__(self, connection: sqlite3.Connection, mvcc: Mvcc, *, watch_capacity: int = 4096) -> None:
        self._connection = connection
        self._mvcc = mvcc
        self._hub = WatchHub(revision=lambda: mvcc.revision, capacity=watch_capacity)
        self._pending: list[_Pending] = []
        self._flusher: asyncio.Task[None] | None = None
        self._healthy = True
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    @classmethod
    def open(
        cls, path: Path, *, durability: Durability = Durability.DISK, keep_events: int = 8192, max_pages: int = 0
    ) -> "SqliteBackend":
        """Open or create the file and read it into memory. `max_pages` bounds its size (0: no bound).

        Raises StorageFailed when the file cannot be used, naming it.
        """
        connection = None
        try:
            # Secrets are in it; SQLite gives its other files the same mode.
            path.touch(mode=0o600)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.5)
            _prepare(connection, durability, max_pages)
            mvcc = Mvcc(keep_events=keep_events)
            meta = dict(connection.execute("SELECT name, value FROM meta"))
            rows = connection.execute("SELECT revision, key, value FROM log ORDER BY revision")
            mvcc.replay(rows, compacted=Revision(meta.get("compacted", 0)), revision=Revision(meta.get("revision", 0)))
        except (sqlite3.Error, OSError) as err:
            if connection:
                connection.close()
            why = (isinstance(err, OSError) and err.strerror) or err
            raise StorageFailed(f"cannot open {path}: {why}") from err
        return cls(connection, mvcc)

    @property
    def revision(self) -> Revision:
        return self._mvcc.revision

    @property
    def healthy(self) -> bool:
        """Whether the last write reached the disk."""
        return self._healthy

    def get(self, key: str) -> Record | None:
        return self._mvcc.get(key)

    def latest(self, key: str) -> Record | None:
        return self._mvcc.latest(key)

    def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: Revision | None = None) -> Page:
        return self._mvcc.list(prefix, after=after, limit=limit, revision=revision)

    def watch(self, prefix: str, *, after: Revision) -> Watch:
        return self._hub.add(prefix, self._mvcc.events_after(prefix, after))

    async def commit(self, writes: Sequence[Write]) -> tuple[Record, ...]:
        staged = self._mvcc.stage(writes)
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((staged, durable))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush(), name="store-flush")
        # A caller that goes away (its client hung up) does not take the write back.
        await asyncio.shield(durable)
        return staged.records

    async def close(self) -> None:
        if self._flusher:
            await asyncio.shield(self._flusher)
        self._writer.shutdown()
        self._connection.close()

    async def _flush(self) -> None:
        """Bring groups to the disk until nothing is pending."""
        try:
            while self._pending:
                group, self._pending = self._pending, []
                await self._flush_group(group)
        finally:
            self._flusher = None

    async def _flush_group(self, group: Sequence[_Pending]) -> None:
        garbage = self._mvcc.take_garbage()
        rows = [row for staged, _ in group for row in staged.rows]
        revision = rows[-1][0] if rows else self._mvcc.revision
        write = partial(_write, self._connection, rows, garbage, compacted=self._mvcc.compacted, revision=revision)
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, write)
        except sqlite3.Error as err:
            self._mvcc.return_garbage(garbage)
            self._refuse(group, err)
            return
        self._healthy = True
        for staged, durable in group:
            self._hub.publish(self._mvcc.apply(staged))
            if not durable.done():
                durable.set_result(None)

    def _refuse(self, group: Sequence[_Pending], err: sqlite3.Error) -> None:
        """Fail the group, and the writes that were checked against it meanwhile."""
        self._mvcc.abandon()
        self._healthy = False
        kind = StorageFull if err.sqlite_errorcode == sqlite3.SQLITE_FULL else StorageFailed
        later, self._pending = self._pending, []
        for _, durable in (*group, *later):
            if not durable.done():
                refusal = kind(str(err))
                refusal.__cause__ = err
                durable.set_exception(refusal)
                durable.exception()


def _prepare(connection: sqlite3.Connection, durability: Durability, max_pages: int) -> None:
    """Lock the file, set it to durable commits, make its tables."""
    # First, because already the change to WAL syncs.
    connection.execute(f"PRAGMA synchronous={'OFF' if durability is Durability.PROCESS else 'FULL'}")
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA cache_size=-512")
    connection.executescript(_SCHEMA)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")
    if max_pages:
        connection.execute(f"PRAGMA max_page_count={int(max_pages)}")


def _write(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[Revision, str, bytes | None]],
    garbage: Sequence[Revision],
    *,
    compacted: Revision,
    revision: Revision,
) -> None:
    """One transaction, one fsync at most; rolled back as a whole on any error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("INSERT INTO log VALUES (?, ?, ?)", rows)
        if garbage:
            connection.executemany("DELETE FROM log WHERE revision = ?", [(revision,) for revision in garbage])
            meta = [("compacted", compacted), ("revision", revision)]
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta)
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
