"""Pumps between descriptors of a container's process and a WebSocket."""

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Awaitable, Callable

from kubesvc.node.kubelet.channels import Resize

_CHUNK = 32 << 10


async def pump_output(fd: int, send: Callable[[bytes], Awaitable[None]]) -> None:
    """Send what `fd` gives until its end; as fast as the receiver takes it, and no faster. Owns `fd`."""
    os.set_blocking(fd, False)
    try:
        while True:
            await _ready(fd, write=False)
            try:
                data = os.read(fd, _CHUNK)
            except BlockingIOError:
                continue
            except OSError:  # a terminal whose last process has ended
                return
            if not data:
                return
            await send(data)
    finally:
        os.close(fd)


class InputPipe:
    """The writing end of a process's standard input. Owns its descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.set_blocking(fd, False)

    async def write(self, data: bytes) -> None:
        """Write all of it; what a process does not read any more is dropped."""
        while data and self._fd >= 0:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                await _ready(self._fd, write=True)
            except OSError:
                self.close()

    def close(self) -> None:
        """End of input. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def resize(fd: int, size: Resize) -> None:
    """Tell a terminal its window size."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))


async def _ready(fd: int, *, write: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    add, remove = (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    add(fd, wake)
    try:
        await ready
    finally:
        remove(fd)
