"""DNS over TCP: many questions on one connection, answered as they are ready (RFC 7766, RFC 9210)."""

import asyncio
import socket
from time import perf_counter

from kubesvc.dns import wire
from kubesvc.dns.meter import Meter
from kubesvc.dns.responder import Responder
from kubesvc.dns.server import BIGGEST_QUERY, Forwarder, Note
from kubesvc.dns.tally import Way
from kubesvc.observe import log

_log = log("dns.tcp")
IDLE_SECONDS = 10.0
MAX_CONNECTIONS = 2000
# Clients that do not read their answers: each may keep us half a megabyte.
MAX_STALLED = 32
# A client that asks and does not read is not asked what else it wants.
_WRITE_HIGH_WATER = 256 << 10
_MAX_UNANSWERED = 256
_PORTION = 64 << 10


class TcpServer:
    """Accepts connections on a listening socket and bounds how many there are."""

    def __init__(
        self,
        responder: Responder,
        meter: Meter,
        forwarder: Forwarder,
        *,
        note: Note | None = None,
        idle_seconds: float = IDLE_SECONDS,
        max_connections: int = MAX_CONNECTIONS,
        max_stalled: int = MAX_STALLED,
    ) -> None:
        self.responder = responder
        self.meter = meter
        self.forwarder = forwarder
        self.note = note
        self._idle_seconds = idle_seconds
        self._max_connections = max_connections
        self._max_stalled = max_stalled
        self.connections: dict[Connection, None] = {}
        self._stalled: dict[Connection, None] = {}

    def admit(self, connection: "Connection") -> None:
        """Take a new connection in; when there are too many, the longest idle one has to go."""
        self.connections[connection] = None
        if len(self.connections) > self._max_connections:
            next(iter(self.connections)).abort()

    def touch(self, connection: "Connection") -> None:
        """Move a connection that asked something behind those that did not."""
        self.connections.pop(connection, None)
        self.connections[connection] = None

    def stall(self, connection: "Connection") -> None:
        """A client does not take its answers; when there are too many such, the first of them has to go."""
        self._stalled[connection] = None
        if len(self._stalled) > self._max_stalled:
            next(iter(self._stalled)).abort()

    def unstall(self, connection: "Connection") -> None:
        """It takes them again."""
        self._stalled.pop(connection, None)

    def forget(self, connection: "Connection") -> None:
        """A connection is gone."""
        self.connections.pop(connection, None)
        self._stalled.pop(connection, None)

    async def watch_idle(self) -> None:
        """Close connections that have not completed a question for `idle_seconds`; never returns."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._idle_seconds / 4)
            oldest = loop.time() - self._idle_seconds
            for connection in list(self.connections):
                if connection.last_question > oldest:
                    break
                connection.abort()

    def close(self) -> None:
        for connection in list(self.connections):
            connection.abort()


class Connection(asyncio.Protocol):
    """One client. Only whole questions count as life, so trickled bytes do not keep it open."""

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._unanswered = 0
        self._asks_no_more = False
        self._writable = True
        self._way = Way.TCP4
        self.last_question = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER)
        self._transport = transport
        if transport.get_extra_info("socket").family == socket.AF_INET6:
            self._way = Way.TCP6
        self._server.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.forget(self)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._answer_buffered()

    def eof_received(self) -> bool:
        """Stay half open while answers are still to come."""
        self._asks_no_more = True
        return self._unanswered > 0

    def pause_writing(self) -> None:
        self._writable = False
        self._server.stall(self)
        self._pace()

    def resume_writing(self) -> None:
        self._writable = True
        self._server.unstall(self)
        self._answer_buffered()
        self._pace()

    def abort(self) -> None:
        self._server.forget(self)
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _answer_buffered(self) -> None:
        """Answer the whole questions in the buffer, for as long as the client takes the answers."""
        at = before = 0
        while self._writable and self._transport is not None:
            at = self._answer_some(before)
            if at == before:
                break
            before = at
        if at:
            del self._buffer[:at]
            self.last_question = asyncio.get_running_loop().time()
            self._server.touch(self)
        self._pace()

    def _answer_some(self, at: int) -> int:
        """Answer questions from offset `at` until there is a good portion to write; the offset behind them."""
        buffer, replies, ready = self._buffer, [], 0
        while ready < _PORTION and self._unanswered < _MAX_UNANSWERED and len(buffer) - at >= 2:
            size = buffer[at] << 8 | buffer[at + 1]
            if not wire.HEADER_SIZE <= size <= BIGGEST_QUERY:
                # No question is this short, and what follows cannot be told from it; nor is one this long.
                self.abort()
                return at
            if len(buffer) - at - 2 < size:
                break
            reply = self._answer(bytes(buffer[at + 2 : at + 2 + size]))
            at += 2 + size
            if reply is not None:
                replies += [len(reply).to_bytes(2, "big"), reply]
                ready += len(reply)
        if replies and self._transport is not None:
            self._transport.write(b"".join(replies))
        return at

    def _answer(self, message: bytes) -> bytes | None:
        server, before = self._server, perf_counter()
        try:
            reply = server.responder.answer_stream(message, self._way)
        except Exception as err:  # one bad question costs only itself
            server.meter.panics += 1
            _log.error("query not answered", exc=err, query=message.hex())
            reply = server.responder.fail(message, self._way)
        if reply is None or isinstance(reply, bytes):
            if reply is not None:
                seconds = perf_counter() - before
                server.meter.measure(seconds, len(message), len(reply))
                if server.note is not None:
                    server.note("tcp", message, reply, seconds)
            return reply
        self._unanswered += 1
        server.forwarder.start(reply, self._send_late)
        return None

    def _send_late(self, reply: bytes) -> None:
        self._unanswered -= 1
        if self._server.note is not None:
            self._server.note("tcp", reply, reply, 0.0)
        if self._transport is not None:
            self._transport.write(len(reply).to_bytes(2, "big") + reply)
            self._answer_buffered()
        if self._transport is not None and self._asks_no_more and self._writable and not self._unanswered:
            self._transport.close()

    def _pace(self) -> None:
        """Stop reading while the client is behind with its own answers."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._writable and self._unanswered < _MAX_UNANSWERED:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
