"""TCP connections to upstreams, kept for the next question (RFC 7766, section 6.2.1).

One question at a time on each. One that the other side has closed meanwhile, or on which something
else than the answer comes, is given up for another without the asker's notice.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from kubesvc.aio.clock import Clock, SystemClock
from kubesvc.dns.nameservers import Upstream
from kubesvc.dns.wire import BadMessage

T = TypeVar("T")


class _Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Connections:
    """Keeps connections for `expire` seconds after their last answer, `most_idle` to an upstream (0: any number)."""

    def __init__(self, *, expire: float = 0.0, most_idle: int = 0, clock: Clock | None = None) -> None:
        self._expire = expire
        self._most_idle = most_idle
        self._clock = clock or SystemClock()
        # The one that was used last stands last.
        self._idle: dict[Upstream, list[tuple[float, _Connection]]] = {}
        self._closed = False

    async def ask(self, upstream: Upstream, query: bytes, read: Callable[[bytes], T]) -> T:
        """What `read` makes of the answer to `query`. Raises OSError, EOFError, and BadMessage as `read` does."""
        self.purge()
        while kept := self._idle.get(upstream):
            _, connection = kept.pop()
            try:
                return await self._ask_on(connection, upstream, query, read)
            except (OSError, EOFError, BadMessage):
                continue
        made = _Connection(*await asyncio.open_connection(*upstream))
        return await self._ask_on(made, upstream, query, read)

    def purge(self) -> None:
        """Close those whose time is up."""
        oldest = self._clock.monotonic() - self._expire
        for upstream, kept in list(self._idle.items()):
            while kept and (kept[0][0] <= oldest or kept[0][1].reader.at_eof()):
                kept.pop(0)[1].writer.close()
            if not kept:
                del self._idle[upstream]

    def close(self) -> None:
        """Close all that are idle, and from now on each after its answer."""
        self._closed = True
        for kept in self._idle.values():
            for _, connection in kept:
                connection.writer.close()
        self._idle.clear()

    async def _ask_on(self, connection: _Connection, upstream: Upstream, query: bytes, read: Callable[[bytes], T]) -> T:
        reader, writer = connection
        try:
            writer.write(len(query).to_bytes(2, "big") + query)
            size = int.from_bytes(await reader.readexactly(2), "big")
            answer = read(await reader.readexactly(size))
        except BaseException:
            writer.close()
            raise
        self._keep(upstream, connection)
        return answer

    def _keep(self, upstream: Upstream, connection: _Connection) -> None:
        kept = self._idle.setdefault(upstream, [])
        if self._closed or self._expire <= 0 or (self._most_idle and len(kept) >= self._most_idle):
            connection.writer.close()
        else:
            kept.append((self._clock.monotonic(), connection))
