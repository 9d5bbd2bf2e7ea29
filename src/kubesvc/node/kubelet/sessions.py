"""exec and attach: one WebSocket, one process's streams."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import WSMsgType, web

from kubesvc.node.kubelet.channels import (
    PROTOCOLS,
    Channel,
    Input,
    InputEnd,
    Resize,
    StreamOptions,
    exit_message,
    failure_message,
    frame,
    parse_message,
)
from kubesvc.node.kubelet.streams import InputPipe, pump_output, resize
from kubesvc.node.runtime.sandbox import RequestFailed, RunningCommand, Sandbox, SandboxGone
from kubesvc.node.worker import PodWorker

# Output that background processes still hold open does not keep a finished command's caller.
_LAST_OUTPUT_SECONDS = 2.0


class Session:
    """The WebSocket's side: sends channels, hears input."""

    def __init__(self, request: web.Request, options: StreamOptions) -> None:
        self._request = request
        self.options = options
        self._socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0, compress=False, heartbeat=30.0)
        self.stdin: InputPipe | None = None
        self.terminal: int | None = None
        self.disconnected = asyncio.Event()

    async def open(self) -> web.WebSocketResponse:
        """Upgrade, and tell the caller so by an empty message on the first channel, as upstream does."""
        await self._socket.prepare(self._request)
        if self.options.stdout:
            await self.send(Channel.STDOUT, b"")
        elif self.options.stderr:
            await self.send(Channel.STDERR, b"")
        return self._socket

    async def send(self, channel: Channel, data: bytes) -> None:
        with suppress(ConnectionResetError):
            await self._socket.send_bytes(frame(channel, data))

    def sender(self, channel: Channel) -> Callable[[bytes], Awaitable[None]]:
        return lambda data: self.send(channel, data)

    async def listen(self) -> None:
        """Hand input on until the caller goes."""
        try:
            async for message in self._socket:
                if message.type is WSMsgType.BINARY:
                    await self._hear(message.data)
        finally:
            if self.stdin is not None:
                self.stdin.close()
            self.disconnected.set()

    async def _hear(self, message: bytes) -> None:
        match parse_message(message):
            case Input(data) if self.stdin is not None:
                await self.stdin.write(data)
            case InputEnd() if self.stdin is not None:
                if self.terminal is None:
                    self.stdin.close()
                else:
                    await self.stdin.write(b"\x04")
            case Resize() as size if self.terminal is not None:
                with suppress(OSError):
                    resize(self.terminal, size)

    async def finish(self, status: bytes) -> None:
        """Say how it ended and close."""
        await self.send(Channel.ERROR, status)
        with suppress(ConnectionResetError):
            await self._socket.close()


def stream_options(request: web.Request) -> StreamOptions:
    """The streams of the query: the API's names, or the kubelet's own older ones."""

    def flag(*names: str) -> bool:
        return any(request.query.get(name, "").lower() in ("1", "true") for name in names)

    tty = flag("tty")
    return StreamOptions(flag("stdin", "input"), flag("stdout", "output"), flag("stderr", "error") and not tty, tty)


async def serve_exec(request: web.Request, worker: PodWorker, container: str) -> web.StreamResponse:
    """Run the command of the query in the container, wired to the WebSocket."""
    sandbox = _running_sandbox(worker, container)
    command = request.query.getall("command", [])
    if not command:
        raise web.HTTPBadRequest(text="you must specify at least 1 command for the container")
    session = Session(request, stream_options(request))
    response = await session.open()
    try:
        run = _exec_terminal if session.options.tty else _exec_pipes
        status = await run(session, sandbox, container, command)
    except (RequestFailed, SandboxGone) as err:
        status = failure_message(f"error executing command in container: {err}")
    await session.finish(status)
    return response


def _running_sandbox(worker: PodWorker, container: str) -> Sandbox:
    if worker.sandbox is None or not worker.record.of(container).running:
        raise web.HTTPBadRequest(text=f'container "{container}" in pod "{worker.pod.metadata.name}" is not running')
    return worker.sandbox


async def _exec_pipes(session: Session, sandbox: Sandbox, container: str, command: list[str]) -> bytes:
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    if session.options.stdin:
        in_read, in_write = os.pipe()
        session.stdin = InputPipe(in_write)
    else:
        in_read = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    theirs = (in_read, out_write, err_write)
    try:
        running = await sandbox.execute(container, command, theirs)
    except BaseException:
        os.close(out_read)
        os.close(err_read)
        raise
    finally:
        for fd in theirs:
            os.close(fd)
    outputs = [(out_read, Channel.STDOUT), (err_read, Channel.STDERR)]
    return await _converse(session, running, outputs)


async def _exec_terminal(session: Session, sandbox: Sandbox, container: str, command: list[str]) -> bytes:
    ours, theirs = socket.socketpair()
    try:
        running = await sandbox.execute(container, command, (theirs.fileno(),), tty=True)
        _, fds, _, _ = socket.recv_fds(ours, 16, 1)
    finally:
        ours.close()
        theirs.close()
    master = fds[0]
    session.terminal = master
    if session.options.stdin:
        session.stdin = InputPipe(os.dup(master))
    return await _converse(session, running, [(master, Channel.STDOUT)])


async def _converse(session: Session, running: RunningCommand, outputs: list[tuple[int, Channel]]) -> bytes:
    """Both directions until the command ends; a caller that goes away takes the command along."""
    pumps = [
        asyncio.create_task(pump_output(fd, session.sender(channel)), name=f"exec {channel.name.lower()}")
        for fd, channel in outputs
    ]
    listener = asyncio.create_task(session.listen(), name="exec input")
    ended = asyncio.create_task(running.wait(), name="exec end")
    gone = asyncio.create_task(session.disconnected.wait(), name="exec caller")
    try:
        await asyncio.wait((ended, gone), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            await running.kill()
        code = await ended
        await asyncio.wait(pumps, timeout=_LAST_OUTPUT_SECONDS)
        return exit_message(code)
    finally:
        for task in (*pumps, listener, ended, gone):
            task.cancel()
        await asyncio.gather(*pumps, listener, ended, gone, return_exceptions=True)
        if session.stdin is not None:
            session.stdin.close()


async def serve_attach(request: web.Request, worker: PodWorker, container: str) -> web.StreamResponse:
    """Wire the WebSocket to the container's own first process until it ends or the caller goes."""
    sandbox = _running_sandbox(worker, container)
    session = Session(request, stream_options(request))
    response = await session.open()
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    try:
        stdin = await sandbox.attach(container, out_write, err_write)
    except (RequestFailed, SandboxGone) as err:
        os.close(out_read)
        os.close(err_read)
        await session.finish(failure_message(f"error attaching to container: {err}"))
        return response
    finally:
        os.close(out_write)
        os.close(err_write)
    caller_left = await _converse_attached(session, stdin, [out_read, err_read])
    # The streams end a moment before the news of the process's end arrives.
    if not caller_left:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_OUTPUT_SECONDS):
                await worker.wait_end(container)
    run = worker.record.of(container).run
    code = run.exit_code if run is not None and run.exit_code is not None else 0
    await session.finish(exit_message(code))
    return response


async def _converse_attached(session: Session, stdin: int | None, outputs: list[int]) -> bool:
    """Both directions until the streams end, or (True) the caller leaves."""
    if stdin is not None and session.options.stdin:
        session.stdin = InputPipe(stdin)
        session.terminal = stdin if session.options.tty else None
    elif stdin is not None:
        os.close(stdin)
    channels = (Channel.STDOUT, Channel.STDERR)
    pumps = [
        asyncio.create_task(pump_output(fd, session.sender(channel)), name=f"attach {channel.name.lower()}")
        for fd, channel in zip(outputs, channels, strict=True)
    ]
    listener = asyncio.create_task(session.listen(), name="attach input")
    try:
        done = asyncio.gather(*pumps)
        gone = asyncio.create_task(session.disconnected.wait(), name="attach caller")
        await asyncio.wait((done, gone), return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        return not done.done()
    finally:
        for task in (*pumps, listener):
            task.cancel()
        await asyncio.gather(*pumps, listener, return_exceptions=True)
