"""Keys wait once, are worked on one at a time, and come back when they changed meanwhile."""

import asyncio

from kubesvc.aio.workqueue import WorkQueue


async def test_a_key_added_twice_is_handed_out_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_added_during_its_work_comes_again_after_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done(key)
    assert await queue.get() == "a"


async def test_get_waits_for_a_key() -> None:
    queue: WorkQueue[str] = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.add("a")
    assert await waiting == "a"


async def test_retries_wait_longer_each_time_until_forgotten() -> None:
    queue: WorkQueue[str] = WorkQueue(base_delay=0.001, max_delay=0.003)
    assert [queue.retry("a") for _ in range(3)] == [0.001, 0.002, 0.003]
    queue.forget("a")
    assert queue.retry("a") == 0.001
    assert await asyncio.wait_for(queue.get(), 5) == "a"


async def test_the_earlier_of_two_timers_wins() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 3600)
    queue.add_after("a", 0)
    queue.add_after("a", 3600)
    assert await asyncio.wait_for(queue.get(), 5) == "a"
