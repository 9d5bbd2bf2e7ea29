"""What the API server does on its own from time to time: keep its objects, repair allocations, forget old Events."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from kubesvc import observe
from kubesvc.aio.clock import Clock
from kubesvc.api import resources as r
from kubesvc.api.status import ApiError
from kubesvc.api.times import parse_time
from kubesvc.apiserver.bootstrap import Bootstrap
from kubesvc.apiserver.keys import prefix_of
from kubesvc.apiserver.repair import plan_repair, read_allocations
from kubesvc.store.types import Backend, Record, StoreError, Write

_KEEP_SECONDS = 10.0
_TURNS_PER_REPAIR = 18
_TURNS_PER_SWEEP = 6
_BATCH = 256
_NEVER = datetime.min.replace(tzinfo=UTC)
_log = observe.log("apiserver")


class _Meta(msgspec.Struct, rename="camel"):
    creation_timestamp: str


class _Series(msgspec.Struct, rename="camel"):
    last_observed_time: str | None = None


class _Event(msgspec.Struct, rename="camel"):
    """As much of an Event as its age needs."""

    metadata: _Meta
    last_timestamp: str | None = None
    series: _Series | None = None


class Housekeeping:
    """One round is `run_once`; `run` makes rounds for ever. A round that fails is logged and tried again."""

    def __init__(self, backend: Backend, bootstrap: Bootstrap, clock: Clock, *, event_ttl: float) -> None:
        self._backend = backend
        self._bootstrap = bootstrap
        self._clock = clock
        self._ttl = timedelta(seconds=event_ttl)

    async def run(self) -> None:
        turn = 0
        while True:
            await self._clock.sleep(_KEEP_SECONDS)
            turn += 1
            try:
                await self.run_once(repair=turn % _TURNS_PER_REPAIR == 0, sweep=turn % _TURNS_PER_SWEEP == 0)
            except (ApiError, StoreError) as err:
                _log.warning("housekeeping failed", error=err)

    async def run_once(self, *, repair: bool = True, sweep: bool = True) -> None:
        """Keep the server's own objects, then repair and sweep as asked. Raises ApiError, StoreError."""
        await self._bootstrap.run(self._clock.now())
        if repair:
            await self._repair()
        if sweep:
            await self._sweep()

    async def _repair(self) -> None:
        found = read_allocations(self._backend)
        writes = plan_repair(found, now=self._clock.now(), new_uid=lambda: str(uuid.uuid4()))
        if writes:
            _log.warning("repairing allocations", writes=len(writes), first=writes[0].key)
            await self._backend.commit(writes)

    async def _sweep(self) -> None:
        records = self._backend.list(prefix_of(r.EVENTS)).records
        writes = expired_events(records, before=self._clock.now() - self._ttl)
        for start in range(0, len(writes), _BATCH):
            await self._backend.commit(writes[start : start + _BATCH])


def expired_events(records: Iterable[Record], *, before: datetime) -> Sequence[Write]:
    """Deletes of the Events last seen before a moment."""
    return [Write(record.key, None, record.revision) for record in records if _last_seen(record) < before]


def _last_seen(record: Record) -> datetime:
    event = msgspec.json.decode(record.value, type=_Event)
    texts = (event.metadata.creation_timestamp, event.last_timestamp, event.series and event.series.last_observed_time)
    return max(_moment(text) for text in texts if text)


def _moment(text: str) -> datetime:
    """The time; one that cannot be read counts for nothing, and keeps no other Event from its end."""
    try:
        return parse_time(text)
    except ValueError:
        return _NEVER
