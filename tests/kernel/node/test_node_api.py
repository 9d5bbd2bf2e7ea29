"""The node's own API: logs, exec, attach, as the API server and kubectl use it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

Document = dict[str, Any]
V5 = "v5.channel.k8s.io"


class Caller:
    """A kubectl's side of an exec WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.output = {1: b"", 2: b"", 3: b""}

    async def until_end(self) -> Document:
        """Gather the output; the status of the error channel."""
        async for message in self.socket:
            self.output[message.data[0]] += message.data[1:]
        return dict(json.loads(self.output[3]))

    async def until_output(self, text: bytes) -> None:
        while text not in self.output[1]:
            message = await self.socket.receive()
            assert message.type is aiohttp.WSMsgType.BINARY, message
            self.output[message.data[0]] += message.data[1:]

    async def say(self, data: bytes) -> None:
        await self.socket.send_bytes(b"\x00" + data)


async def exec_in(session: aiohttp.ClientSession, name: str, *command: str, **flags: str) -> Caller:
    params = [("command", word) for word in command] + [("stdout", "true"), ("stderr", "true"), *flags.items()]
    verb = "exec" if command else "attach"
    return Caller(
        await session.ws_connect(f"/{verb}/default/{name}/main", params=params, protocols=(V5, "v4.channel.k8s.io"))
    )


async def test_exec_carries_output_errors_and_the_exit_code(world: Any, pod: Callable[..., Document]) -> None:
    await world.run_pod(pod("web"))
    async with world.session() as session:
        caller = await exec_in(session, "web", "sh", "-c", "echo out; echo err >&2; exit 7")
        status = await caller.until_end()

    assert caller.socket.protocol == V5
    assert (caller.output[1], caller.output[2]) == (b"out\n", b"err\n")
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]


async def test_exec_reads_standard_input_until_the_caller_closes_it(world: Any, pod: Callable[..., Document]) -> None:
    await world.run_pod(pod("web"))
    payload = b"x" * 300_000
    async with world.session() as session:
        caller = await exec_in(session, "web", "wc", "-c", stdin="true")
        for start in range(0, len(payload), 30_000):
            await caller.say(payload[start : start + 30_000])
        await caller.socket.send_bytes(b"\xff\x00")
        status = await caller.until_end()

    assert caller.output[1].strip() == b"300000"
    assert status["status"] == "Success"


async def test_exec_with_a_terminal_resizes_it(world: Any, pod: Callable[..., Document]) -> None:
    await world.run_pod(pod("web"))
    async with world.session() as session:
        caller = await exec_in(session, "web", "sh", stdin="true", tty="true")
        await caller.socket.send_bytes(b"\x04" + b'{"Width":91,"Height":17}')
        await caller.say(b"tty; stty size; exit 3\n")
        status = await caller.until_end()

    assert b"/dev/pts/0" in caller.output[1]
    assert b"17 91" in caller.output[1]
    assert status["details"]["causes"][0]["message"] == "3"


async def test_exec_of_a_program_that_does_not_exist_is_an_error_not_an_exit_code(
    world: Any, pod: Callable[..., Document]
) -> None:
    await world.run_pod(pod("web"))
    async with world.session() as session:
        status = await (await exec_in(session, "web", "nonesuch")).until_end()

    assert status["reason"] == "InternalError"
    assert '"nonesuch": executable file not found in $PATH' in status["message"]


async def test_attach_joins_the_containers_own_streams(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    await world.run_pod(
        pod("talk", restartPolicy="Never", container=shell("read line; echo got $line; exit 5", stdin=True))
    )
    async with world.session() as session:
        caller = await exec_in(session, "talk", stdin="true")
        await caller.say(b"hello\n")
        status = await caller.until_end()

    assert caller.output[1] == b"got hello\n"
    assert status["details"]["causes"][0]["message"] == "5"


async def test_input_for_one_caller_ends_with_that_caller(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    container = shell("cat; echo end", stdin=True, stdinOnce=True)
    await world.run_pod(pod("once", restartPolicy="Never", container=container))
    async with world.session() as session:
        caller = await exec_in(session, "once", stdin="true")
        await caller.say(b"hello\n")
        await caller.socket.send_bytes(b"\xff\x00")
        await caller.until_end()

    assert caller.output[1] == b"hello\nend\n"


async def test_logs_can_be_tailed_stamped_and_followed_to_the_end(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    script = "echo one; echo two >&2; printf three; read x; echo four"
    await world.run_pod(pod("chat", restartPolicy="Never", container=shell(script, stdin=True)))
    async with world.session() as session:
        follow = await session.get("/containerLogs/default/chat/main", params={"follow": "true"})
        assert await follow.content.readline() == b"one\n"
        caller = await exec_in(session, "chat", stdin="true")
        await caller.say(b"\n")
        rest = await follow.text()
        tail = await (await session.get("/containerLogs/default/chat/main", params={"tailLines": "1"})).text()
        stamped = await (await session.get("/containerLogs/default/chat/main", params={"timestamps": "true"})).text()

    assert "threefour\n" in rest
    assert tail == "threefour\n"
    assert stamped.splitlines()[0].endswith("Z one")


async def test_the_log_of_the_run_before_is_kept(
    world: Any, pod: Callable[..., Document], shell: Callable[..., Document]
) -> None:
    script = "echo run $(cat /proc/sys/kernel/random/uuid); exit 1"
    world.api.put(pod("crash", container=shell(script)))
    await world.until(lambda: world.container("crash").get("restartCount") == 1)
    async with world.session() as session:
        # Followed: that the run has begun does not mean that it has spoken.
        now = await (await session.get("/containerLogs/default/crash/main", params={"follow": "true"})).text()
        before = await session.get("/containerLogs/default/crash/main", params={"previous": "true"})
        assert before.status == 200
        text = await before.text()

    assert now.startswith("run ")
    assert text.startswith("run ")


async def test_without_the_token_nothing_but_health_is_served(world: Any, pod: Callable[..., Document]) -> None:
    await world.run_pod(pod("web"))
    async with world.session() as session:
        refused = await session.get("/containerLogs/default/web/main", headers={"Authorization": "Bearer wrong"})
        health = await session.get("/healthz", headers={"Authorization": ""})
        unknown = await session.get("/containerLogs/default/nobody/main")

    assert (refused.status, health.status, unknown.status) == (401, 200, 404)


async def test_a_caller_that_goes_away_takes_its_command_along(world: Any, pod: Callable[..., Document]) -> None:
    await world.run_pod(pod("web"))
    async with world.session() as session:
        caller = await exec_in(session, "web", "sh", "-c", "echo started; exec sleep 4711")
        await caller.until_output(b"started")
        await caller.socket.close()
        async with asyncio.timeout(5):
            while True:
                probe = await exec_in(session, "web", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
                await probe.until_end()
                if b"sleep 4711" not in probe.output[1]:
                    return
        pytest.fail("the command still runs")
