"""Container logs on disk, in the CRI format: `2026-01-02T03:04:05.000000006Z stdout F the line`.

A file is bounded: at `limit` bytes it becomes `<name>.1`, in place of an older one, so a container
never holds more than twice the limit.
"""

import os
import time
from contextlib import suppress

LIMIT = 10 << 20
_CHUNK = 16 << 10


class LineFramer:
    """Cuts one stream's bytes into CRI records; a line longer than 16 KiB becomes parts tagged `P`."""

    def __init__(self, stream: str) -> None:
        self._stream = stream.encode()
        self._rest = b""

    def feed(self, data: bytes, stamp: bytes) -> bytes:
        """The records that `data` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        records = [self._record(line, stamp) for line in lines]
        while len(self._rest) >= _CHUNK:
            part, self._rest = self._rest[:_CHUNK], self._rest[_CHUNK:]
            records.append(b"%b %b P %b\n" % (stamp, self._stream, part))
        return b"".join(records)

    def end(self, stamp: bytes) -> bytes:
        """The record of a last line that no newline ended."""
        rest, self._rest = self._rest, b""
        return self._record(rest, stamp) if rest else b""

    def _record(self, line: bytes, stamp: bytes) -> bytes:
        head = b"%b %b " % (stamp, self._stream)
        parts = [line[start : start + _CHUNK] for start in range(0, len(line), _CHUNK)] or [b""]
        return b"".join(
            b"%b%b %b\n" % (head, b"F" if index == len(parts) - 1 else b"P", part) for index, part in enumerate(parts)
        )


class LogFile:
    """The growing log of one run of one container."""

    def __init__(self, path: str, *, limit: int = LIMIT) -> None:
        self._path = path
        self._limit = limit
        self._fd = self._open()
        self._size = os.fstat(self._fd).st_size
        self._framers = {"stdout": LineFramer("stdout"), "stderr": LineFramer("stderr")}

    def write(self, stream: str, data: bytes) -> None:
        """Append what a stream said now."""
        self._append(self._framers[stream].feed(data, timestamp()))

    def end(self, stream: str) -> None:
        """The stream was closed."""
        self._append(self._framers[stream].end(timestamp()))

    def close(self) -> None:
        os.close(self._fd)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def _append(self, records: bytes) -> None:
        if not records:
            return
        if self._size and self._size + len(records) > self._limit:
            self._rotate()
        # A full disk costs log lines, never the container.
        with suppress(OSError):
            self._size += os.write(self._fd, records)

    def _rotate(self) -> None:
        with suppress(OSError):
            os.replace(self._path, self._path + ".1")
            fresh = self._open()
            # Not before there is another: the number of a closed descriptor soon means somebody else's file.
            os.close(self._fd)
            self._fd, self._size = fresh, 0


def timestamp() -> bytes:
    """Now, as RFC 3339 in UTC with nanoseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode() + b".%09dZ" % nanoseconds
