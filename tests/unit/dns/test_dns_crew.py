"""Workers that die at the worst moment."""

import asyncio
import errno
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.unit.dns.running import children, until

from kubesvc.dns.crew import Crew
from kubesvc.dns.options import DnsOptions
from kubesvc.testing.clock import VirtualClock


async def test_a_worker_that_dies_with_rows_unread_is_replaced() -> None:
    others = children()
    crew = Crew(DnsOptions(bind="127.0.0.1", port=0, workers=1), serial=1, replay=lambda _: None)
    await crew.open()
    running = asyncio.create_task(crew.run())
    try:
        crew.finish_loading()

        async def ready() -> bool:
            return crew.ready

        await until(ready)
        (worker,) = children() - others
        os.kill(worker, signal.SIGSTOP)

        async def stopped() -> bool:
            return state_of(worker) == "T"

        await until(stopped)
        crew.take(b"\x90")
        await asyncio.sleep(0)  # rows go out at the end of a turn
        os.kill(worker, signal.SIGKILL)

        async def replaced() -> bool:
            assert not running.done()
            return crew.ready and bool(children() - others - {worker})

        await until(replaced)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await crew.close()
    assert children() == others


async def test_a_worker_that_cannot_be_started_is_tried_again_and_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    execute = asyncio.create_subprocess_exec
    refusals = [
        BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ]

    async def sometimes(*command: Any, **how: Any) -> asyncio.subprocess.Process:
        if refusals:
            raise refusals.pop()
        return await execute(*command, **how)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", sometimes)
    clock = VirtualClock()
    options = DnsOptions(bind="127.0.0.1", port=0, workers=1)
    crew = Crew(options, serial=1, replay=lambda _: None, clock=clock)
    await crew.open()
    before = os.listdir("/proc/self/fd")
    running = asyncio.create_task(crew.run())
    try:
        await clock.advance(0)
        assert os.listdir("/proc/self/fd") == before
        await clock.advance(1)
        assert not refusals
        await clock.advance(1)
        crew.finish_loading()

        async def ready() -> bool:
            assert not running.done()
            return crew.ready

        await until(ready)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await crew.close()
    assert [record.getMessage() for record in caplog.records] == ["worker not started, trying again"] * 2


def state_of(process: int) -> str:
    """The letter of proc(5)."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
