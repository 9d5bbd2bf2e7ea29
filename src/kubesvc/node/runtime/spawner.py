"""The spawner: a small single-threaded process that forks shims on request.

It is forked from the agent before the agent holds anything (connections, keys, tasks), so that shims
and containers inherit nothing of it. It lives as long as the agent; shims do not need it.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from typing import NoReturn, Self

from kubesvc.linux import libc
from kubesvc.node.runtime import protocol as p
from kubesvc.node.runtime.container import BuiltinImage
from kubesvc.node.runtime.shim import run_shim


class SpawnerDied(Exception):
    """The spawner is gone; the agent has to be started anew to get another."""


class Spawner:
    """The agent's handle of the spawner process."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self.pid = pid

    @classmethod
    def fork(cls, builtins: Mapping[str, BuiltinImage]) -> Self:
        """Fork it now; call before any thread exists."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            _serve(theirs, builtins)
        theirs.close()
        return cls(ours, pid)

    async def spawn(self, sandbox: p.SandboxSpec) -> p.Ready:
        """Fork a shim and wait until the sandbox stands; OSError says why it could not be made."""
        reader, writer = os.pipe()
        try:
            try:
                socket.send_fds(self._connection, [p.encode(p.Spawn(sandbox))], [writer])
            except OSError as err:
                raise SpawnerDied("the spawner process is gone") from err
            finally:
                os.close(writer)
            data = await _read_report(reader)
        finally:
            os.close(reader)
        if not data:
            raise OSError("the pod's shim died while it made the sandbox")
        report = p.decode_report(data)
        if isinstance(report, p.Failed):
            raise OSError(report.error)
        return report

    async def watch(self) -> None:
        """Never returns while the spawner lives; raises SpawnerDied when it dies."""
        await _readable(self._connection.fileno())
        raise SpawnerDied("the spawner process is gone")

    def close(self) -> None:
        """End the spawner; shims stay."""
        self._connection.close()
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            return


async def _read_report(fd: int) -> bytes:
    await _readable(fd)
    return os.read(fd, p.MAX_MESSAGE)


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(fd, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(fd)


def _serve(connection: socket.socket, builtins: Mapping[str, BuiltinImage]) -> NoReturn:
    """The spawner's whole life: one message, one fork."""
    code = 0
    try:
        _shed_parent(connection.fileno())
        while True:
            data, fds, _, _ = socket.recv_fds(connection, p.MAX_MESSAGE, 1)
            if not data:
                break
            sandbox = p.decode_spawn(data).sandbox
            if os.fork() == 0:
                connection.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                run_shim(sandbox, builtins, fds[0])
            os.close(fds[0])
    except BaseException:
        code = 1
    finally:
        os._exit(code)


def _shed_parent(keep: int) -> None:
    """Close what was inherited, the agent's event loop among it, and let the kernel reap the shims."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.closerange(3, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    libc.name_process("kubesvc-spawner")
