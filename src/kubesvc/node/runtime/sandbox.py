"""The agent's side of one pod's shim: requests with answers, and the news of what ended."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from kubesvc.node.runtime import protocol as p
from kubesvc.node.runtime.sandboxdir import connect_socket


class SandboxGone(Exception):
    """The shim died or was stopped; nothing of the pod runs any more."""


class RequestFailed(Exception):
    """The shim could not do what was asked; the message says why."""


class Sandbox:
    """A connection to a shim; whoever is told by `hear` learns of every `Exited`, and that the shim is gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._pending: dict[int, asyncio.Future[tuple[p.Done, list[int]]]] = {}
        self._execs: dict[int, asyncio.Future[int]] = {}
        self._next = 0
        self._hello: asyncio.Future[p.Hello] = asyncio.get_running_loop().create_future()
        self._unheard: list[p.ContainerState] = []
        self.on_exit: Callable[[p.ContainerState], None] = self._unheard.append
        self.on_lost: Callable[[], None] = lambda: None
        self.lost = False
        asyncio.get_running_loop().add_reader(connection.fileno(), self._readable)

    @classmethod
    async def connect(cls, directory: Path) -> tuple[Self, p.Hello]:
        """Connect to the shim of a pod's directory; SandboxGone when there is none."""
        try:
            connection = connect_socket(str(directory))
        except OSError as err:
            raise SandboxGone(f"no shim listens in {directory}") from err
        connection.setblocking(False)
        sandbox = cls(connection)
        return sandbox, await sandbox._hello

    def hear(self, on_exit: Callable[[p.ContainerState], None], on_lost: Callable[[], None]) -> None:
        """Have the news told, first what came since the shim's `Hello`, when nobody listened yet."""
        self.on_exit, self.on_lost = on_exit, on_lost
        for state in self._unheard:
            on_exit(state)
        self._unheard.clear()
        if self.lost:
            on_lost()

    def close(self) -> None:
        """Disconnect; the pod goes on."""
        if not self.lost:
            self.lost = True
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self._connection.close()

    async def start(self, spec: p.ContainerSpec) -> p.ContainerState:
        """Start a container; RequestFailed when its program cannot run."""
        fd = os.memfd_create("kubesvc-container")
        try:
            data = p.encode(spec)
            while data:
                data = data[os.write(fd, data) :]
            done, _ = await self._request(lambda number: p.Start(number), [fd])
        finally:
            os.close(fd)
        assert done.state is not None
        return done.state

    async def signal(self, container: str, number: int) -> None:
        await self._request(lambda i: p.Signal(i, container, number))

    async def stop(self) -> None:
        """End everything in the sandbox at once; one that is gone already is fine."""
        try:
            await self._request(lambda i: p.Stop(i))
        except SandboxGone:
            return

    async def attach(self, container: str, stdout: int, stderr: int) -> int | None:
        """Have the output copied to two descriptors; a descriptor of standard input, which the caller closes."""
        _, fds = await self._request(lambda i: p.Attach(i, container), [stdout, stderr])
        return fds[0] if fds else None

    async def execute(
        self, container: str, argv: Sequence[str], fds: Sequence[int], *, tty: bool = False
    ) -> "RunningCommand":
        """Run a command in a container; RequestFailed when it cannot be started."""
        number = self._next + 1
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._execs[number] = ended
        try:
            await self._request(lambda i: p.Exec(i, container, tuple(argv), tty), fds)
        except BaseException:
            self._execs.pop(number, None)
            ended.cancel()
            raise
        return RunningCommand(self, number, ended)

    async def kill_command(self, number: int) -> None:
        await self._request(lambda i: p.KillExec(i, number))

    async def _request(self, build: Callable[[int], p.Request], fds: Sequence[int] = ()) -> tuple[p.Done, list[int]]:
        if self.lost:
            raise SandboxGone("the pod's shim is gone")
        self._next += 1
        number = self._next
        answer: asyncio.Future[tuple[p.Done, list[int]]] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            socket.send_fds(self._connection, [p.encode(build(number))], fds)
            return await answer
        except OSError as err:
            self._lose()
            raise SandboxGone("the pod's shim is gone") from err
        finally:
            self._pending.pop(number, None)

    def _readable(self) -> None:
        while not self.lost:
            try:
                data, fds, _, _ = socket.recv_fds(self._connection, p.MAX_MESSAGE, 2)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            if not data:
                self._lose()
                return
            self._handle(p.decode_answer(data), fds)

    def _handle(self, message: p.Answer, fds: list[int]) -> None:
        match message:
            case p.Hello():
                self._hello.set_result(message)
            case p.Done():
                self._settle(message.id, (message, fds), None)
            case p.Failed():
                self._settle(message.id, None, RequestFailed(message.error))
            case p.Exited():
                self.on_exit(message.state)
            case p.ExecExited():
                ended = self._execs.pop(message.exec, None)
                if ended is not None and not ended.done():
                    ended.set_result(message.exit_code)

    def _settle(self, number: int, value: tuple[p.Done, list[int]] | None, err: Exception | None) -> None:
        answer = self._pending.get(number)
        if answer is None or answer.done():
            for fd in value[1] if value else ():
                os.close(fd)
        elif err is not None:
            answer.set_exception(err)
        elif value is not None:
            answer.set_result(value)

    def _lose(self) -> None:
        if self.lost:
            return
        self.close()
        gone = SandboxGone("the pod's shim is gone")
        if not self._hello.done():
            self._hello.set_exception(gone)
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(gone)
        for ended in self._execs.values():
            if not ended.done():
                ended.set_result(137)
        self._execs.clear()
        self.on_lost()


class RunningCommand:
    """A command executed in a container."""

    def __init__(self, sandbox: Sandbox, number: int, ended: "asyncio.Future[int]") -> None:
        self._sandbox = sandbox
        self._number = number
        self._ended = ended

    async def wait(self) -> int:
        """Its exit code, 128 + n when signal n killed it."""
        return await asyncio.shield(self._ended)

    async def kill(self) -> None:
        """Kill it, if it still runs."""
        if not self._ended.done():
            try:
                await self._sandbox.kill_command(self._number)
            except SandboxGone:
                return
