"""One answering process: `python -m kubesvc.dns.worker FD FD`, started by `crew` with a control socket.

It knows nothing of the API. What it answers comes as rows over the control socket, taken in a few
at a time between the queries; when that socket closes, its parent is gone and so is its task. The
second socket brings sockets to answer on that were opened later.
"""

import asyncio
import gc
import signal
import socket
import sys

from kubesvc import observe
from kubesvc.dns import control
from kubesvc.dns.answering import make_responder, succeed_responder
from kubesvc.dns.listeners import Listeners, Pair, Place, receive_pair
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.responder import Responder
from kubesvc.dns.routes import routes_of
from kubesvc.observe import log

_log = log("dns.worker")
Opened = list[tuple[Place, Pair]]
# Bytes of rows taken in before queries get their turn again: a fraction of a millisecond of work.
_BITE = 1024


class Worker:
    """Answers on the sockets named in `setup` until the control socket closes."""

    def __init__(self, channel: socket.socket, sockets: socket.socket, setup: control.Setup) -> None:
        self._channel = channel
        self._incoming = sockets
        self._responder = make_responder(setup.options, serial=setup.serial)
        self._listeners = Listeners(setup.options, self._responder)
        # Takes the rows in until `Synced`, where the view is made anew while the old one still answers.
        self._coming: tuple[DnsOptions, Responder, Opened] | None = None
        self._sockets: Opened = [
            (Place(address, port), Pair(socket.socket(fileno=udp), socket.socket(fileno=tcp)))
            for address, port, udp, tcp in setup.sockets
        ]
        self._patient = setup.patient
        self._adopting: set[asyncio.Task[None]] = set()
        self._answering = False
        self._deframer = control.Deframer()
        self._filled = asyncio.Event()
        self._closed = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._patient:
            await self._answer()
        loop.add_reader(self._channel, self._read)
        upkeep = loop.create_task(self._listeners.run(), name="listeners")
        try:
            if self._patient:
                await self._filled.wait()
                await self._answer()
                self._say(control.Ready())
            await self._closed.wait()
        finally:
            loop.remove_reader(self._channel)
            upkeep.cancel()
            await self._listeners.close()

    async def _answer(self) -> None:
        self._answering = True
        for place, pair in self._sockets:
            await self._listeners.adopt(place, pair)

    def _read(self) -> None:
        try:
            data = self._channel.recv(_BITE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._closed.set()
            self._filled.set()
            return
        # Taken out of the buffer first: one that cannot be followed must not stand there for ever.
        for body in list(self._deframer.feed(data)):
            try:
                self._obey(control.to_worker.decode(body))
            except Exception as err:
                _log.error("message not followed", exc=err)

    def _obey(self, message: control.ToWorker) -> None:
        if isinstance(message, control.Rows):
            responder = self._coming[1] if self._coming is not None else self._responder
            for row in message.rows:
                responder.apply(bytes(row))
        elif isinstance(message, control.Change):
            opened = [receive_pair(self._incoming) for _ in range(message.opened)]
            self._change(message.options, opened, fresh=message.fresh)
        elif isinstance(message, control.Synced):
            if self._coming is not None:
                self._follow(*self._coming)
            self._responder.synced = True
            # What is held now stays, and has no cycles: the collector need never walk it again,
            # which would hold answers up for as long as the cluster is large.
            gc.collect()
            gc.freeze()
            self._filled.set()
            if self._answering:
                self._say(control.Ready())
        elif isinstance(message, control.AskCounts):
            self._say(control.Counted(self._listeners.counts()))

    def _change(self, options: DnsOptions, opened: Opened, *, fresh: bool) -> None:
        after = succeed_responder(self._responder, options, fresh=fresh)
        if fresh and self._responder.synced:
            self._coming = options, after, opened
        else:
            self._follow(options, after, opened)

    def _follow(self, options: DnsOptions, responder: Responder, opened: Opened) -> None:
        self._coming = None
        try:
            self._listeners.change(options, routes_of(options), responder)
        except (OSError, ValueError) as err:  # a resolv.conf that went away since the parent has read it
            _log.error("upstreams not followed", reason=err)
            for _, pair in opened:
                pair.close()
            return
        self._responder = responder
        if not self._answering:
            self._sockets += opened
            return
        for place, pair in opened:
            task = asyncio.get_running_loop().create_task(self._listeners.adopt(place, pair), name="adopt")
            self._adopting.add(task)
            task.add_done_callback(self._adopting.discard)

    def _say(self, message: control.FromWorker) -> None:
        # Small and rare, read by a parent that does little else: waiting for room is no risk.
        self._channel.setblocking(True)
        try:
            self._channel.sendall(control.frame(message))
        except OSError:
            self._closed.set()
        finally:
            self._channel.setblocking(False)


def read_setup(channel: socket.socket) -> control.Setup:
    """The first message, waited for; raises EOFError when the parent is gone already."""
    head = channel.recv(4, socket.MSG_WAITALL)
    body = channel.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL) if len(head) == 4 else b""
    if not body:
        raise EOFError("the control socket closed before the set-up came")
    message = control.to_worker.decode(body)
    if not isinstance(message, control.Setup):
        raise ValueError(f"set-up expected, {type(message).__name__} received")
    return message


def main() -> None:
    # The parent decides when a worker ends, so that it can go on answering for a while.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
    observe.configure("dns-worker")
    channel, sockets = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    channel.setblocking(True)
    setup = read_setup(channel)
    channel.setblocking(False)

    async def serve() -> None:
        await Worker(channel, sockets, setup).run()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
