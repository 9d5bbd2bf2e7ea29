"""Events are written once and counted up when they repeat."""

import asyncio
from collections.abc import Callable

from kubesvc.api.resources import EVENTS
from kubesvc.api.status import Forbidden
from kubesvc.client import Client, EventRecorder
from kubesvc.client.events import BURST, REFILL_SECONDS
from kubesvc.testing.builders import service
from kubesvc.testing.clock import VirtualClock, settle
from kubesvc.testing.local import LocalTransport


async def recorded(api: LocalTransport, act: Callable[[EventRecorder], None], until: Callable[[], bool]) -> None:
    recorder = EventRecorder(Client(api), "test-controller", host="node-a")
    task = asyncio.create_task(recorder.run())
    act(recorder)
    async with asyncio.timeout(5):
        while not until():
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_repeated_events_are_one_object_with_a_count() -> None:
    api = LocalTransport()

    def thrice(recorder: EventRecorder) -> None:
        for _ in range(3):
            recorder.event(service("web"), "Warning", "SyncFailed", "no such address")

    await recorded(api, thrice, lambda: any(event["count"] == 3 for event in api.documents(EVENTS)))
    (event,) = api.documents(EVENTS)
    assert event["involvedObject"]["name"] == "web"
    assert event["source"] == {"component": "test-controller", "host": "node-a"}


async def test_a_refused_event_does_not_stop_the_next() -> None:
    api = LocalTransport()
    api.refuse(lambda call: call.method == "POST", Forbidden("namespace is being terminated"))

    def twice(recorder: EventRecorder) -> None:
        recorder.event(service("web"), "Normal", "First", "refused")
        recorder.event(service("web"), "Normal", "Second", "written")

    await recorded(api, twice, lambda: len(api.documents(EVENTS)) == 1)
    assert api.documents(EVENTS)[0]["reason"] == "Second"


async def test_an_object_that_flaps_has_a_burst_of_events_and_then_few() -> None:
    api, clock = LocalTransport(), VirtualClock()
    recorder = EventRecorder(Client(api), "test-controller", clock=clock)
    task = asyncio.create_task(recorder.run())
    for number in range(500):
        recorder.event(service("flapping"), "Warning", "SyncFailed", f"state {number}")
    recorder.event(service("other"), "Warning", "SyncFailed", "no such address")
    await settle(3000)
    assert len(api.documents(EVENTS)) == BURST + 1

    await clock.advance(2 * REFILL_SECONDS)
    for number in range(500):
        recorder.event(service("flapping"), "Warning", "SyncFailed", f"later state {number}")
    await settle(3000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert len(api.documents(EVENTS)) == BURST + 3


async def test_events_of_very_many_objects_are_dropped_once_the_queue_is_full() -> None:
    api = LocalTransport()
    recorder = EventRecorder(Client(api), "test-controller")
    for number in range(5000):
        recorder.event(service(f"web-{number}"), "Warning", "SyncFailed", "no such address")

    assert recorder._queue.qsize() == 1000
