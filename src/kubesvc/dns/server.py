"""The sockets: a drain loop for UDP, pipelined connections for TCP (RFC 7766)."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any

from kubesvc.dns.meter import Meter
from kubesvc.dns.responder import Pending, Responder
from kubesvc.dns.tally import Way
from kubesvc.observe import log

_log = log("dns.server")
# Datagrams answered before the loop turns to anything else: about half a millisecond.
_BATCH = 64
# In bytes; a question with every option there is takes a tenth of it.
BIGGEST_QUERY = 4096
_RECEIVE_BUFFER = 4 << 20

_Peer = tuple[Any, ...]
# How each answered query is written down where that is asked for: transport, query, reply, seconds.
Note = Callable[[str, bytes, bytes, float], None]
Forward = Callable[[Pending], Awaitable[bytes]]


class UdpServer:
    """Answers datagrams on one bound socket. `responder` and `note` may be changed at any time."""

    def __init__(
        self,
        sock: socket.socket,
        responder: Responder,
        meter: Meter,
        forwarder: "Forwarder",
        *,
        note: Note | None = None,
    ) -> None:
        self.note = note
        self.responder = responder
        self._socket = sock
        self._meter = meter
        self._forwarder = forwarder
        self._way = Way.UDP6 if sock.family == socket.AF_INET6 else Way.UDP4

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._socket, self._drain)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _drain(self) -> None:
        """Answer what has arrived. Written for speed: this is where the server spends its life."""
        receive, send = self._socket.recvfrom, self._socket.sendto
        answer, measure = self.responder.answer, self._meter.measure
        way, before = self._way, perf_counter()
        for _ in range(_BATCH):
            try:
                message, peer = receive(BIGGEST_QUERY)
            except OSError:
                # Nothing is left, or the kernel reports an earlier reply as undeliverable.
                return
            try:
                reply = answer(message, way)
            except Exception as err:  # the last line of defence: one bad question costs only itself
                reply = self._after_fault(message, err)
            if type(reply) is bytes:
                try:
                    send(reply, peer)
                except OSError:
                    self._meter.unsent += 1
                after = perf_counter()
                measure(after - before, len(message), len(reply))
                if self.note is not None:
                    self.note("udp", message, reply, after - before)
                before = after
            elif isinstance(reply, Pending):
                self._forwarder.start(reply, partial(self._send_late, peer))

    def _after_fault(self, message: bytes, err: Exception) -> bytes | None:
        self._meter.panics += 1
        _log.error("query not answered", exc=err, query=message.hex())
        return self.responder.fail(message, self._way)

    def _send_late(self, peer: _Peer, reply: bytes) -> None:
        try:
            self._socket.sendto(reply, peer)
        except OSError:
            self._meter.unsent += 1
        if self.note is not None:
            self.note("udp", reply, reply, 0.0)


class Forwarder:
    """Runs the questions that need an upstream, a bounded number at a time."""

    def __init__(self, responder: Responder, forward: Forward, *, max_pending: int = 2000) -> None:
        self.responder = responder
        self._forward = forward
        self._max_pending = max_pending
        self._tasks: set[asyncio.Task[None]] = set()
        self.rejected = 0

    def start(self, pending: Pending, send: Callable[[bytes], None]) -> None:
        """Ask in the background and `send` what comes; SERVFAIL when too many wait. Never sends before it returns."""
        loop = asyncio.get_running_loop()
        if len(self._tasks) >= self._max_pending:
            self.rejected += 1
            # Whoever asks may be amid a buffer of questions, where an answer would have it begin anew.
            loop.call_soon(send, self.responder.give_up(pending))
            return
        task = loop.create_task(self._finish(pending, send), name="forward")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, pending: Pending, send: Callable[[bytes], None]) -> None:
        try:
            send(await self._forward(pending))
        except Exception as err:
            _log.error("forwarding failed", exc=err)
            send(self.responder.give_up(pending))

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def udp_socket(address: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound, non-blocking UDP socket; `shared` lets several processes bind the same port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def tcp_socket(address: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound, listening, non-blocking TCP socket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((address, port))
        sock.listen(512)
    except OSError:
        sock.close()
        raise
    return sock
