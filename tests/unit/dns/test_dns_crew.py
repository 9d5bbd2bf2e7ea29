"""Workers that die at the worst moment."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.unit.dns.running import children, until

from kubesvc.dns.crew import Crew
from kubesvc.dns.options import DnsOptions


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


def state_of(process: int) -> str:
    """The letter of proc(5)."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
