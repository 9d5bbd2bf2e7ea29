"""Run a component's tasks under one parent until a signal or a failure ends them all."""

import asyncio
import signal
from collections.abc import Coroutine, Mapping
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def run_all(tasks: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Run named coroutines in one TaskGroup; the first failure cancels the others and is raised."""
    async with asyncio.TaskGroup() as group:
        for name, coroutine in tasks.items():
            group.create_task(coroutine, name=name)


async def run_until_signal(main: Coroutine[Any, Any, None], *, name: str) -> None:
    """Run `main` until it returns, fails, or SIGTERM or SIGINT asks it to stop by cancellation."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(main, name=name)
    asked = False

    def stop() -> None:
        nonlocal asked
        asked = True
        task.cancel()

    for signum in _SIGNALS:
        loop.add_signal_handler(signum, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not asked:
            raise
    finally:
        for signum in _SIGNALS:
            loop.remove_signal_handler(signum)
