"""The channels of a remote command, multiplexed over one WebSocket (subprotocol `v5.channel.k8s.io`, KEP-4006).

The first byte of a frame is its channel: 0 standard input, 1 output, 2 errors, 3 the final Status, 4 the
terminal's size; 255 closes a channel, which is how the command sees the end of its input.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import BinaryIO

from kubesvc.aio.web import aiohttp
from kubesvc.api.status import parse_status
from kubesvc.client.errors import ConnectionFailed
from kubesvc.client.http import HttpTransport, error_from
from kubesvc.client.transport import Response

PROTOCOL = "v5.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_CHUNK = 32768


@asynccontextmanager
async def open_channels(
    transport: HttpTransport, path: str, query: Sequence[tuple[str, str]]
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """The WebSocket to a pod's exec or attach. Raises the server's refusal or ConnectionFailed."""
    session = transport.session
    try:
        async with session.ws_connect(
            transport.url(path), params=query, headers=transport.headers(), protocols=(PROTOCOL,), max_msg_size=0
        ) as socket:
            yield socket
    except aiohttp.WSServerHandshakeError as err:
        # The library throws the body of the refusal away: ask again, without the upgrade.
        async with session.get(transport.url(path), params=query, headers=transport.headers()) as answer:
            refusal = error_from(Response(answer.status, await answer.read()))
        raise refusal from err
    except aiohttp.ClientError as err:
        raise ConnectionFailed(f"exec {path}: {err}") from err


class Channels:
    """Copies between the WebSocket and this process until the command ends."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, stdin: bool, tty: bool, out: BinaryIO) -> None:
        self._socket = socket
        self._stdin = stdin
        self._tty = tty
        self._outputs = {_STDOUT: out, _STDERR: sys.stderr.buffer}

    async def run(self) -> int:
        """The command's exit code. Raises ApiError when it could not be run."""
        sending = [asyncio.create_task(self._send_input(), name="stdin")] if self._stdin else []
        if self._tty:
            self._follow_size()
        try:
            return await self._receive()
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    async def _receive(self) -> int:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == _ERROR:
                return exit_code(data)
            output = self._outputs.get(channel)
            if output is not None and data:
                output.write(data)
                output.flush()
        raise ConnectionFailed("the connection ended before the command did")

    async def _send_input(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            data = await _readable_chunk(loop, sys.stdin.fileno())
            if not data:
                await self._socket.send_bytes(bytes([_CLOSE, _STDIN]))
                return
            await self._socket.send_bytes(bytes([_STDIN]) + data)

    def _follow_size(self) -> None:
        loop = asyncio.get_running_loop()
        resizes: set[asyncio.Task[None]] = set()

        def resize() -> None:
            task = loop.create_task(self._send_size(), name="resize")
            resizes.add(task)
            task.add_done_callback(resizes.discard)

        loop.add_signal_handler(signal.SIGWINCH, resize)
        resize()

    async def _send_size(self) -> None:
        columns, lines = shutil.get_terminal_size()
        size = json.dumps({"Width": columns, "Height": lines}).encode()
        await self._socket.send_bytes(bytes([_RESIZE]) + size)


def exit_code(data: bytes) -> int:
    """The exit code that a final Status means. Raises ApiError for a command that did not run."""
    status = json.loads(data)
    if status.get("status") == "Success":
        return 0
    if status.get("reason") == "NonZeroExitCode":
        for cause in (status.get("details") or {}).get("causes") or ():
            if cause.get("reason") == "ExitCode":
                return int(cause["message"])
    raise parse_status(status, code=status.get("code", 500))


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _readable_chunk(loop: asyncio.AbstractEventLoop, descriptor: int) -> bytes:
    """The next bytes of a descriptor; regular files, which epoll refuses, are always readable."""
    readable: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(descriptor, _settle, readable)
    except PermissionError:
        return os.read(descriptor, _CHUNK)
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, _CHUNK)
