"""Waiting for a file to change, without polling (inotify(7))."""

import asyncio
import os
from pathlib import Path
from typing import Self

from kubesvc.linux import libc

_MODIFY, _MOVED_TO, _CREATE = 0x2, 0x80, 0x100


class DirectoryWatch:
    """Notices changes of the files in one directory. Use as a context manager inside an event loop."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._changed = asyncio.Event()

    def __enter__(self) -> Self:
        self._fd = libc.inotify_init()
        libc.inotify_add_watch(self._fd, str(self._directory), _MODIFY | _MOVED_TO | _CREATE)
        asyncio.get_running_loop().add_reader(self._fd, self._readable)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def wake(self) -> None:
        """Count as a change whatever the caller knows of."""
        self._changed.set()

    async def changed(self) -> None:
        """Return once something has changed since the last call (or the beginning)."""
        await self._changed.wait()
        self._changed.clear()

    def _readable(self) -> None:
        try:
            os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return
        self._changed.set()
