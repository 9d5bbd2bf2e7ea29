"""The agent's end of a shim's connection: no news is lost between the adoption of a pod and its worker's start."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from kubesvc.node.runtime import protocol as p
from kubesvc.node.runtime.sandbox import Sandbox


@pytest.fixture
async def shim() -> AsyncIterator[tuple[Sandbox, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    sandbox = Sandbox(ours)
    yield sandbox, theirs
    sandbox.close()
    theirs.close()


async def turned(sandbox: Sandbox) -> None:
    """Return once the sandbox has read whatever its shim has said."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_an_end_before_anybody_listened_is_told_to_who_does(shim: tuple[Sandbox, socket.socket]) -> None:
    sandbox, theirs = shim
    heard: list[p.ContainerState] = []
    ends = [p.ContainerState("web", n, f"run-{n}", pid=7, finished_at=1.0, exit_code=n) for n in (1, 2)]
    theirs.send(p.encode(p.Exited(ends[0])))
    await turned(sandbox)
    sandbox.hear(heard.append, lambda: None)
    assert heard == ends[:1]
    theirs.send(p.encode(p.Exited(ends[1])))
    await turned(sandbox)
    assert heard == ends


async def test_a_shim_that_died_before_anybody_listened_is_told_too(shim: tuple[Sandbox, socket.socket]) -> None:
    sandbox, theirs = shim
    lost: list[bool] = []
    theirs.close()
    await turned(sandbox)
    sandbox.hear(lambda _: None, lambda: lost.append(True))
    assert lost == [True]
