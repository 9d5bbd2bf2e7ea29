"""A queue of keys in which each key waits at most once and is worked on by one worker at a time.

The semantics are those of client-go's workqueue: a key added while it is being worked on is handed
out again after `done`; failures come back after an exponential delay, per key.
"""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

from kubesvc.aio.backoff import backoff

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Deduplicating queue; bounded by the number of distinct keys."""

    def __init__(self, *, base_delay: float = 0.005, max_delay: float = 30.0) -> None:
        self._waiting: dict[K, None] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._wakeup = asyncio.Event()
        self._base_delay = base_delay
        self._max_delay = max_delay

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K) -> None:
        """Queue `key`; a no-op when it already waits."""
        if key in self._working:
            self._again.add(key)
            return
        self._waiting[key] = None
        self._wakeup.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Queue `key` in `seconds`; an earlier timer for the same key wins."""
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._fire, key)

    def retry(self, key: K) -> float:
        """Queue `key` after its next back-off delay; return that delay in seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = backoff(failures, first=self._base_delay, longest=self._max_delay)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Reset the back-off of `key` after a success."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Take the oldest key; the caller must call `done` with it."""
        while not self._waiting:
            self._wakeup.clear()
            await self._wakeup.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """End the work on `key`, and queue it again if it was added meanwhile."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _fire(self, key: K) -> None:
        del self._timers[key]
        self.add(key)
