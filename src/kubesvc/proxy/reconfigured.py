"""A proxy whose configuration file changes ends, so that whoever keeps it running starts it with the new one.

Its rules stay meanwhile, and the next start takes them over.
"""

import asyncio
from collections.abc import Coroutine
from pathlib import Path

from kubesvc.aio.clock import Clock
from kubesvc.observe import log

LOOK_SECONDS = 5.0

_log = log("proxy")


async def run_until_changed(main: Coroutine[object, object, None], path: Path, clock: Clock) -> None:
    """Run `main` until it ends or the file at `path` says something else than now."""
    serving = asyncio.create_task(main, name="proxy")
    watching = asyncio.create_task(_changed(path, clock), name="proxy-configuration")
    try:
        await asyncio.wait((serving, watching), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            _log.warning("the configuration was changed, ending so that a new start takes it up", file=path)
    finally:
        serving.cancel()
        watching.cancel()
        await asyncio.gather(serving, watching, return_exceptions=True)
    if not serving.cancelled():
        serving.result()


async def _changed(path: Path, clock: Clock) -> None:
    """Return when the file has other content than at the beginning; while it cannot be read, it has the old one."""
    before = _content(path)
    while (now := _content(path)) == before or now is None:
        await clock.sleep(LOOK_SECONDS)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
