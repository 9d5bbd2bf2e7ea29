"""The shell around a pure controller: keys in, changes out, each key by one worker at a time.

    informer events -> handler -> queue of keys -> sync(key) -> list[Change] -> Applier

A key that fails comes back after an exponential delay; one that makes `sync` raise an unexpected
error does too, and costs only itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from kubesvc.aio.clock import Clock
from kubesvc.aio.workqueue import WorkQueue
from kubesvc.api.resources import Key, Resource
from kubesvc.api.status import AlreadyExists, ApiError, BadRequest, Conflict, Forbidden, Invalid
from kubesvc.client.errors import ClientError
from kubesvc.controllers.apply import Applier
from kubesvc.controllers.changes import Change
from kubesvc.controllers.ownwrites import PATIENCE_S, OwnWrites, Waiter
from kubesvc.observe import Registry, log

K = TypeVar("K", bound=Hashable)
Sync = Callable[[K], Awaitable[Sequence[Change]]]


class Measures:
    """The metrics of all controllers of a process."""

    def __init__(self, registry: Registry) -> None:
        labels = ("controller", "result")
        self.reconciled = registry.counter("kubesvc_controller_reconciled_total", "Keys reconciled.", labels)
        self.seconds = registry.histogram(
            "kubesvc_controller_seconds", "Time to reconcile one key and apply its changes.", ("controller",)
        )


class Controller(Generic[K]):
    """One controller: `sync` reads the caches for a key and returns what to change.

    With `resource`, keys name objects of it (by `Key`, or by name), and lasting trouble is told on them.
    """

    def __init__(self, name: str, sync: Sync[K], *, resource: Resource | None = None, workers: int = 4) -> None:
        self.name = name
        self._resource = resource
        self.queue: WorkQueue[K] = WorkQueue()
        self._sync = sync
        self._workers = workers
        self._deferred: dict[K, float] = {}
        self._log = log(f"controllers.{name}")

    async def run(self, applier: Applier, writes: OwnWrites, measures: Measures, clock: Clock) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(applier, writes, measures, clock), name=f"{self.name} {number}")

    async def _work(self, applier: Applier, writes: OwnWrites, measures: Measures, clock: Clock) -> None:
        while True:
            key = await self.queue.get()
            started = clock.monotonic()
            try:
                result = await self._process(key, applier, writes, clock)
            finally:
                self.queue.done(key)
            measures.reconciled.inc(self.name, result)
            measures.seconds.observe(clock.monotonic() - started, self.name)

    async def _process(self, key: K, applier: Applier, writes: OwnWrites, clock: Clock) -> str:
        waiter: Waiter = (self, key)
        if self._must_wait(key, waiter, writes, clock.monotonic()):
            return "deferred"
        try:
            again = await applier.apply(waiter, await self._sync(key))
        except (Conflict, AlreadyExists) as err:
            self._log.debug("overtaken, trying again", key=key, reason=err)
            self.queue.retry(key)
            return "conflict"
        except (ApiError, ClientError) as err:
            delay = self.queue.retry(key)
            self._log.warning("not applied, trying again", key=key, reason=err, delay_s=delay)
            if isinstance(err, BadRequest | Forbidden | Invalid):
                self._tell(key, err, applier)
            return "refused"
        except Exception as err:
            # The supervisor's catch: whatever one object brings about must not end the others.
            delay = self.queue.retry(key)
            self._log.error("reconcile failed", exc=err, key=key, delay_s=delay)
            self._tell(key, err, applier)
            return "failed"
        self.queue.forget(key)
        if again is not None:
            self.queue.add_after(key, again)
        return "done"

    def _tell(self, key: K, err: Exception, applier: Applier) -> None:
        if self._resource is not None:
            place = key if isinstance(key, Key) else Key("", str(key))
            applier.tell_trouble(self._resource, place, f"{self.name} controller: {err}")

    def _must_wait(self, key: K, waiter: Waiter, writes: OwnWrites, now: float) -> bool:
        """Whether the key's own writes have not come back yet: they bring the key back, or a timer does."""
        if not writes.is_waiting(waiter):
            self._deferred.pop(key, None)
            return False
        since = self._deferred.setdefault(key, now)
        if now - since >= PATIENCE_S:
            self._log.warning("own write never seen, going on without it", key=key)
            writes.give_up(waiter)
            del self._deferred[key]
            return False
        self.queue.add_after(key, PATIENCE_S - (now - since))
        return True


def settle(waiter: Waiter) -> None:
    """What a waiter does when it has seen its own writes: queue its key again."""
    controller, key = waiter
    assert isinstance(controller, Controller)
    queue: WorkQueue[Any] = controller.queue
    queue.add(key)
