"""Lifecycle hooks: postStart and preStop (Pod v1 `Lifecycle`)."""

import asyncio

from kubesvc.aio.clock import Clock
from kubesvc.api.views import LifecycleHandler
from kubesvc.node.probing import Outcome, Target, http_get, run_exec


async def run_hook(hook: LifecycleHandler, target: Target, *, limit: float, clock: Clock) -> Outcome:
    """Run it, for `limit` seconds at most."""
    if hook.exec:
        return await run_exec(hook.exec, target, limit)
    try:
        async with asyncio.timeout(limit):
            if hook.http_get:
                return await http_get(hook.http_get, target)
            if hook.sleep:
                await clock.sleep(hook.sleep.seconds)
    except TimeoutError:
        return Outcome(False, f"not done within {limit:g} s")
    return Outcome(True)
