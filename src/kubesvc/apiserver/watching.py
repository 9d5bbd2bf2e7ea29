"""Watch: the lines of one watch answer, from the kept history or from a list, then as things happen.

Starts: an exact revision replays what came after it; none or `0` shows the current objects as ADDED first;
`sendInitialEvents` (KEP-3157) does so too and ends them with a bookmark annotated
`k8s.io/initial-events-end`. An object that starts or stops matching the selector is ADDED or DELETED.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from kubesvc.aio.clock import Clock
from kubesvc.api.resources import Resource
from kubesvc.api.status import ApiError, Expired
from kubesvc.apiserver import refusals
from kubesvc.apiserver.documents import to_json
from kubesvc.apiserver.keys import prefix_of
from kubesvc.apiserver.request import Call, Target, flag, number
from kubesvc.apiserver.selection import Selection, parse_selection
from kubesvc.apiserver.versions import check_watch_match, parse_revision
from kubesvc.store.types import Backend, Compacted, Event, EventType, Overrun, Revision, Watch

BOOKMARK_SECONDS = 60.0
_INITIAL_END = {"k8s.io/initial-events-end": "true"}
Render = Callable[[str, bytes], bytes]
"""Makes the line of an event from its type and the object's bytes."""


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """What a watch was asked to do. `after` is None where it starts with the current objects."""

    resource: Resource
    prefix: str
    selection: Selection
    after: Revision | None
    initial_end: bool
    bookmarks: bool
    timeout: float


def plan_watch(call: Call, resource: Resource, target: Target, *, current: Revision, random: Random) -> WatchPlan:
    """Read the parameters of a watch. Raises BadRequest, Invalid, Timeout."""
    initial = check_watch_match(call.query)
    asked = parse_revision(call.query.get("resourceVersion", ""))
    if asked > current:
        raise refusals.too_large_revision(asked, current)
    from_list = initial or (not asked and call.query.get("sendInitialEvents", "") == "")
    timeout = number(call.query, "timeoutSeconds") or random.uniform(1800, 3600)
    return WatchPlan(
        resource,
        prefix_of(resource, target.namespace),
        parse_selection(resource, target, call.query),
        None if from_list else (asked or current),
        initial,
        flag(call.query, "allowWatchBookmarks"),
        float(timeout),
    )


class WatchStream:
    """The chunks of one watch answer; each is one or more whole lines."""

    def __init__(self, backend: Backend, plan: WatchPlan, clock: Clock, render: Render | None = None) -> None:
        """Subscribes at once, so that nothing between now and the first chunk is missed. Raises Expired."""
        self._plan = plan
        self._clock = clock
        self._render = render
        self._deadline = clock.monotonic() + plan.timeout
        self._initial = backend.list(plan.prefix).records if plan.after is None else ()
        self._start = backend.revision if plan.after is None else plan.after
        try:
            self._watch: Watch = backend.watch(plan.prefix, after=self._start)
        except Compacted as err:
            raise refusals.expired(err.asked, err.oldest) from err

    def close(self) -> None:
        """Unsubscribe, and end the answer."""
        self._deadline = 0.0
        self._watch.close()
        self._watch.interrupt()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Ends at the watch's time-out; an overrun is told as an ERROR event before the end."""
        ticker = asyncio.create_task(self._tick(), name="watch-ticker")
        try:
            if first := b"".join(self._initial_lines()):
                yield first
            while self._clock.monotonic() < self._deadline:
                events = await self._watch.next()
                if events:
                    chunk = b"".join(self._lines(events))
                else:
                    chunk = self._bookmark(self._watch.progress) if self._plan.bookmarks else b""
                if chunk:
                    yield chunk
        except Overrun as err:
            yield error_line(Expired(f"too old resource version: {err}"))
        finally:
            ticker.cancel()
            self.close()

    async def _tick(self) -> None:
        """Interrupt the wait for events whenever a bookmark is due, and at the deadline."""
        while (left := self._deadline - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(left, BOOKMARK_SECONDS))
            self._watch.interrupt()

    def _initial_lines(self) -> Iterator[bytes]:
        for record in self._initial:
            if self._plan.selection.matches(record.value):
                yield self._line(EventType.ADDED, record.value)
        self._initial = ()
        if self._plan.initial_end and self._plan.bookmarks:
            yield self._bookmark(self._start, _INITIAL_END)

    def _lines(self, events: Sequence[Event]) -> Iterator[bytes]:
        selection = self._plan.selection
        for event in events:
            if selection.everything:
                yield event.frame if self._render is None else self._render(event.type, event.record.value)
                continue
            kind = transition(event, selection)
            if kind:
                yield self._line(kind, event.record.value)

    def _line(self, kind: EventType, value: bytes) -> bytes:
        if self._render is not None:
            return self._render(kind, value)
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), value)

    def _bookmark(self, revision: Revision, annotations: Mapping[str, str] | None = None) -> bytes:
        metadata: dict[str, object] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        resource = self._plan.resource
        document = {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": metadata}
        return to_json({"type": "BOOKMARK", "object": document}) + b"\n"


def transition(event: Event, selection: Selection) -> EventType | None:
    """What an event is to a watcher with a selector; None where it does not concern it."""
    before = event.previous is not None and selection.matches(event.previous.value)
    after = event.type is not EventType.DELETED and selection.matches(event.record.value)
    if before and after:
        return EventType.MODIFIED
    if after:
        return EventType.ADDED
    return EventType.DELETED if before else None


def error_line(error: ApiError) -> bytes:
    return to_json({"type": "ERROR", "object": error.to_status()}) + b"\n"
