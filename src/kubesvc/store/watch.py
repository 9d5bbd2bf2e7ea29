"""Handing committed events to watchers without ever waiting for one.

Each watcher has a bounded queue. One that lets it overflow is dropped: its next read raises Overrun and its
owner lists again. Writers and the other watchers notice nothing.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from kubesvc.store.types import Event, Overrun, Revision


class QueueWatch:
    """One subscription of a `WatchHub`."""

    def __init__(self, prefix: str, replay: Sequence[Event], capacity: int, hub: "WatchHub") -> None:
        self._prefix = prefix
        self._queue: list[Event] = list(replay)
        self._capacity = capacity + len(replay)
        self._hub = hub
        self._overrun = False
        self._interrupted = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def prefix(self) -> str:
        return self._prefix

    @property
    def progress(self) -> Revision:
        return Revision(self._queue[0].revision - 1) if self._queue else self._hub.revision

    async def next(self) -> Sequence[Event]:
        while not self._queue and not self._interrupted and not self._overrun:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        # Before an interruption: `progress` says nothing true of a watch that has lost events.
        if self._overrun:
            raise Overrun(f"watch of {self._prefix}: more than {self._capacity} events were waiting")
        self._interrupted = False
        batch, self._queue = self._queue, []
        return batch

    def interrupt(self) -> None:
        self._interrupted = True
        self._wake()

    def offer(self, event: Event) -> None:
        """Queue the event, or drop the watcher when its queue is full."""
        if len(self._queue) >= self._capacity:
            self._overrun = True
            self._queue = []
            self.close()
        else:
            self._queue.append(event)
        self._wake()

    def close(self) -> None:
        self._hub.remove(self)

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


class WatchHub:
    """Every live watch, found by the first segment of its prefix (the resource)."""

    def __init__(self, *, revision: Callable[[], Revision], capacity: int = 4096) -> None:
        self._revision = revision
        self._capacity = capacity
        self._by_resource: dict[str, dict[QueueWatch, None]] = {}

    @property
    def revision(self) -> Revision:
        return self._revision()

    def __len__(self) -> int:
        return sum(len(watches) for watches in self._by_resource.values())

    def add(self, prefix: str, replay: Sequence[Event]) -> QueueWatch:
        """Subscribe to keys under `prefix`, which must name a resource (`services/`); `replay` comes first."""
        watch = QueueWatch(prefix, replay, self._capacity, self)
        self._by_resource.setdefault(_resource(prefix), {})[watch] = None
        return watch

    def remove(self, watch: QueueWatch) -> None:
        self._by_resource.get(_resource(watch.prefix), {}).pop(watch, None)

    def publish(self, events: Iterable[Event]) -> None:
        for event in events:
            key = event.record.key
            for watch in tuple(self._by_resource.get(_resource(key), ())):
                if key.startswith(watch.prefix):
                    watch.offer(event)


def _resource(key: str) -> str:
    return key.partition("/")[0]
