"""P: which lines of a container's log a reader asked for (Pod v1 `PodLogOptions`), from CRI records to plain text."""

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec


class BadLogOptions(ValueError):
    """A query that PodLogOptions does not allow."""


class LogOptions(msgspec.Struct, frozen=True):
    """`since` is Unix seconds; `limit` counts the bytes sent."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    limit: int | None = None
    since: float | None = None
    stream: str = ""


def parse_log_options(query: Mapping[str, str], now: float) -> LogOptions:
    """Read the query of a log request; BadLogOptions names the parameter."""
    since = None
    if query.get("sinceSeconds"):
        since = now - _number(query, "sinceSeconds", least=1)
    elif query.get("sinceTime"):
        try:
            since = datetime.fromisoformat(query["sinceTime"].replace("Z", "+00:00")).timestamp()
        except ValueError as err:
            raise BadLogOptions(f"sinceTime: {query['sinceTime']!r} is not a time") from err
    stream = query.get("stream", "")
    return LogOptions(
        follow=_flag(query, "follow"),
        previous=_flag(query, "previous"),
        timestamps=_flag(query, "timestamps"),
        tail=_number(query, "tailLines", least=0) if query.get("tailLines") else None,
        limit=_number(query, "limitBytes", least=1) if query.get("limitBytes") else None,
        since=since,
        stream="" if stream in ("", "All") else stream.lower(),
    )


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in ("1", "true", "t")


def _number(query: Mapping[str, str], name: str, *, least: int) -> int:
    try:
        value = int(query[name])
    except ValueError as err:
        raise BadLogOptions(f"{name}: {query[name]!r} is not a number") from err
    if value < least:
        raise BadLogOptions(f"{name}: must be at least {least}")
    return value


def tail_offset(data: bytes, lines: int) -> int:
    """Where the last `lines` whole lines begin; a line may be several records."""
    if lines == 0:
        return len(data)
    position, found = len(data), 0
    while position > 0:
        start = data.rfind(b"\n", 0, position - 1) + 1
        if _ends_line(data[start:position]):
            found += 1
            if found > lines:
                return position
        position = start
    return 0


def _ends_line(record: bytes) -> bool:
    fields = record.split(b" ", 3)
    return len(fields) < 3 or fields[2] != b"P"


class LogReader:
    """Turns the bytes of a log, as they come, into what the reader gets."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._rest = b""
        self._left = options.limit
        self._continues = False

    @property
    def full(self) -> bool:
        """Whether the byte limit is reached."""
        return self._left == 0

    def feed(self, data: bytes) -> bytes:
        """The plain text of the records that `data` completes."""
        *records, self._rest = (self._rest + data).split(b"\n")
        text = b"".join(part for record in records for part in self._plain(record))
        if self._left is not None:
            text = text[: self._left]
            self._left -= len(text)
        return text

    def _plain(self, record: bytes) -> Iterator[bytes]:
        stamp, stream, tag, line = (*record.split(b" ", 3), b"", b"", b"")[:4]
        if not tag or not self._wanted(stamp, stream):
            return
        if self._options.timestamps and not self._continues:
            yield stamp + b" "
        self._continues = tag == b"P"
        yield line if self._continues else line + b"\n"

    def _wanted(self, stamp: bytes, stream: bytes) -> bool:
        if self._options.stream and stream.decode(errors="replace") != self._options.stream:
            return False
        return self._options.since is None or _seconds(stamp) >= self._options.since


def _seconds(stamp: bytes) -> float:
    """A stamp with nanoseconds, to microseconds."""
    try:
        return datetime.fromisoformat(stamp[:26].decode() + "+00:00").timestamp()
    except ValueError:
        return 0.0
