"""One answering process: `python -m kubesvc.dns.worker FD`, started by `crew` with a control socket.

It knows nothing of the API. What it answers comes as rows over the control socket, taken in a few
at a time between the queries; when that socket closes, its parent is gone and so is its task.
"""

import asyncio
import gc
import signal
import socket
import sys

from kubesvc import observe
from kubesvc.dns import control
from kubesvc.dns.answering import make_responder
from kubesvc.dns.listeners import Listeners
from kubesvc.dns.rows import share

# Bytes of rows taken in before queries get their turn again: a fraction of a millisecond of work.
_BITE = 1024


class Worker:
    """Answers on the sockets named in `setup` until the control socket closes."""

    def __init__(self, channel: socket.socket, setup: control.Setup) -> None:
        self._channel = channel
        self._responder = make_responder(setup.options, serial=setup.serial)
        self._listeners = Listeners(setup.options, self._responder)
        self._sockets = setup.sockets
        self._deframer = control.Deframer()
        self._closed = asyncio.Event()

    async def run(self) -> None:
        for udp, tcp in self._sockets:
            await self._listeners.adopt(socket.socket(fileno=udp), socket.socket(fileno=tcp))
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel, self._read)
        upkeep = loop.create_task(self._listeners.run(), name="listeners")
        try:
            await self._closed.wait()
        finally:
            loop.remove_reader(self._channel)
            upkeep.cancel()
            await self._listeners.close()

    def _read(self) -> None:
        try:
            data = self._channel.recv(_BITE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._closed.set()
            return
        for message in self._deframer.feed(data):
            self._obey(control.to_worker.decode(message))

    def _obey(self, message: control.ToWorker) -> None:
        if isinstance(message, control.Rows):
            for row in message.rows:
                self._responder.apply(share(row))
        elif isinstance(message, control.Synced):
            self._responder.synced = True
            # What is held now stays, and has no cycles: the collector need never walk it again,
            # which would hold answers up for as long as the cluster is large.
            gc.collect()
            gc.freeze()
            self._say(control.Ready())
        elif isinstance(message, control.AskCounts):
            self._say(control.Counted(self._listeners.counts()))

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
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.setblocking(True)
    setup = read_setup(channel)
    channel.setblocking(False)

    async def serve() -> None:
        await Worker(channel, setup).run()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
