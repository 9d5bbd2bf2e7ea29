"""A proxy ends when its configuration file changes."""

import asyncio
from pathlib import Path

import pytest

from kubesvc.proxy.reconfigured import LOOK_SECONDS, run_until_changed
from kubesvc.testing.clock import VirtualClock, settle


class Main:
    """Something that serves until it is cancelled."""

    def __init__(self) -> None:
        self.ended = False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def test_it_serves_until_the_file_says_something_else(tmp_path: Path) -> None:
    file, main, clock = tmp_path / "config.yaml", Main(), VirtualClock()
    file.write_text("mode: nftables")
    running = asyncio.create_task(run_until_changed(main.run(), file, clock))
    await clock.advance(LOOK_SECONDS)

    file.write_text("mode: nftables")
    await clock.advance(LOOK_SECONDS)
    file.unlink()  # as while a mount is exchanged
    await clock.advance(LOOK_SECONDS)
    assert not main.ended

    file.write_text("mode: iptables")
    await clock.advance(LOOK_SECONDS)
    await running
    assert main.ended


async def test_what_ends_by_itself_is_not_waited_for(tmp_path: Path) -> None:
    async def fail() -> None:
        raise LookupError("no kernel today")

    with pytest.raises(LookupError):
        await run_until_changed(fail(), tmp_path / "none", VirtualClock())


async def test_what_fails_while_it_ends_is_told(tmp_path: Path) -> None:
    async def fail_at_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise LookupError("no kernel today")

    file, clock = tmp_path / "config.yaml", VirtualClock()
    file.write_text("mode: nftables")
    running = asyncio.create_task(run_until_changed(fail_at_the_end(), file, clock))
    await clock.advance(LOOK_SECONDS)
    file.write_text("mode: iptables")
    await clock.advance(LOOK_SECONDS)

    with pytest.raises(LookupError):
        await running


async def test_being_cancelled_ends_what_is_served(tmp_path: Path) -> None:
    main = Main()
    running = asyncio.create_task(run_until_changed(main.run(), tmp_path / "none", VirtualClock()))
    await settle()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert main.ended
