"""One iptables-restore that lives on: a restore costs what it changes, not the start of a program.

The program reads restores from a pipe, one after the other, and commits a table at its COMMIT. With
`--verbose` it repeats comments on its output once it has read them, and so a comment after a COMMIT
says that this is done. On a terminal it says so at once, hence the pseudo-terminal. What it refuses
ends it, with its words; the next restore starts another one.
"""

import os
import pty
import resource
import selectors
import subprocess
import threading
import time
import tty
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_PATIENCE_SECONDS = 2.0
"""How long a program may take to answer its first, empty question; at a start under load it may take long."""
_BLOCK = 1 << 16
_GROWN = 32 << 20
"""Bytes in memory after which a program is not kept: iptables-legacy-restore has whole tables in its hands, and
where these are as large as that, the start of another one costs little beside."""


class Refused(Exception):
    """The program ended; the message has its own words."""


class FeedUnusable(Exception):
    """This program, or this machine, cannot do restores one after the other."""


class RestoreFeed:
    """`command` is an iptables-restore with its flags. Its calls block; they may come from any thread."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = (*command, "--verbose")
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._output = -1
        self._asked = 0

    def start(self) -> None:
        """Start the program if there is none, in the namespaces of the calling thread.

        Raises FeedUnusable, and OSError where no program can be started now.
        """
        if self._process is not None and self._process.poll() is None:
            return
        with self._turn:
            self._end()
            self._process = self._spawn()
            try:
                self._ask("", time.monotonic() + _PATIENCE_SECONDS)
            except (Refused, TimeoutError) as err:
                self._end()
                raise FeedUnusable(f"{self._command[0]} does not answer") from err

    def restore(self, text: str) -> None:
        """Return once everything is committed; raises Refused. What was committed before stays."""
        with self._turn:
            try:
                self._ask(text, None)
            except Refused:
                self._end()
                raise
            if self._resident() > _GROWN:
                self._end()

    def close(self) -> None:
        """End the program; a table without its COMMIT stays as it was. A restore in another thread is refused."""
        process = self._process
        if process is not None:
            process.kill()
        with self._turn:
            self._end()

    def _spawn(self) -> subprocess.Popen[bytes]:
        try:
            output, terminal = pty.openpty()
        except OSError as err:
            raise FeedUnusable(f"no pseudo-terminal: {err.strerror}") from err
        try:
            tty.setraw(terminal)
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=terminal, stderr=terminal, bufsize=0
            )
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(terminal)
        self._output = output
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        process.kill()
        process.wait()
        os.close(self._output)

    def _ask(self, text: str, deadline: float | None) -> None:
        process = self._process
        if process is None:
            raise Refused("ended")
        assert process.stdin is not None
        self._asked += 1
        answer = f"# {self._asked}\n".encode()
        left, said = memoryview(text.encode() + answer), b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            selector.register(process.stdin, selectors.EVENT_WRITE)
            while not said.endswith(answer):
                ready = selector.select(None if deadline is None else max(deadline - time.monotonic(), 0))
                if not ready:
                    raise TimeoutError
                for key, _ in ready:
                    if key.fd == self._output:
                        said += self._read(said)
                    else:
                        left = left[_write(key.fd, left) :]
                        if not left:
                            selector.unregister(process.stdin)

    def _resident(self) -> int:
        assert self._process is not None
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * resource.getpagesize()

    def _read(self, before: bytes) -> bytes:
        data = b""
        # The terminal's other end gone is an error here, not an end of file.
        with suppress(OSError):
            data = os.read(self._output, _BLOCK)
        if not data:
            raise Refused(before.decode(errors="replace").strip())
        return data


def _write(fd: int, data: memoryview) -> int:
    """How much could be written; to a program that has ended, everything."""
    try:
        return os.write(fd, data[:_BLOCK])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(data)
