"""Worker processes that answer while this one watches, so that no change can hold an answer up.

The sockets belong to the parent and outlive any worker: when one dies, what clients ask meanwhile
waits in the socket for the next, which is filled from what the watch holds.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from kubesvc.aio.clock import Clock, SystemClock
from kubesvc.dns import control
from kubesvc.dns.listeners import open_sockets
from kubesvc.dns.metrics import Counts
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.rows import Row
from kubesvc.observe import log

_log = log("dns.crew")
_ROWS_PER_FRAME = 8
_MAX_BEHIND = 256 << 20
_COUNTS_SECONDS = 2.0
_RESTART_SECONDS = 0.1
Replay = Callable[[Callable[[Row], None]], None]


class Mate:
    """One worker process and the talk with it."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.process = process
        self.ready = False
        self._reader = reader
        self._writer = writer
        self._rows: list[Row] = []
        self._counts: asyncio.Future[Counts] | None = None

    def take(self, row: Row) -> None:
        """Send `row`, together with those that come in the same turn of the loop."""
        if not self._rows:
            asyncio.get_running_loop().call_soon(self.flush)
        self._rows.append(row)

    def flush(self) -> None:
        rows, self._rows = self._rows, []
        for at in range(0, len(rows), _ROWS_PER_FRAME):
            self._send(control.Rows(rows[at : at + _ROWS_PER_FRAME]))

    def finish_loading(self) -> None:
        self.flush()
        self._send(control.Synced())

    async def counts(self) -> Counts:
        """What the worker has counted; nothing when it does not say so in time."""
        if self._counts is None or self._counts.done():
            self._counts = asyncio.get_running_loop().create_future()
            self._send(control.AskCounts())
        try:
            async with asyncio.timeout(_COUNTS_SECONDS):
                return await asyncio.shield(self._counts)
        except TimeoutError:
            return Counts()

    async def listen(self) -> None:
        """Hear what the worker says until it is gone."""
        deframer = control.Deframer()
        while data := await self._reader.read(65536):
            for body in deframer.feed(data):
                message = control.from_worker.decode(body)
                if isinstance(message, control.Ready):
                    self.ready = True
                elif self._counts is not None and not self._counts.done():
                    self._counts.set_result(message.counts)

    def _send(self, message: control.ToWorker) -> None:
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > _MAX_BEHIND:
            _log.error("worker does not take its rows, ending it", pid=self.process.pid)
            self.process.kill()
            return
        self._writer.write(control.frame(message))

    async def end(self) -> None:
        """Close the talk, at which the worker ends, and wait for it."""
        self._writer.close()
        try:
            async with asyncio.timeout(2):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


class Crew:
    """All workers; the `Answering` of a server with `--workers`."""

    def __init__(self, options: DnsOptions, *, serial: int, replay: Replay, clock: Clock | None = None) -> None:
        self._options = options
        self._serial = serial
        self._replay = replay
        self._clock = clock or SystemClock()
        self._loaded = False
        self._sockets: list[list[tuple[socket.socket, socket.socket]]] = []
        self._mates: dict[int, Mate] = {}

    @property
    def ready(self) -> bool:
        return len(self._mates) == self._options.workers and all(mate.ready for mate in self._mates.values())

    @property
    def processes(self) -> list[int]:
        """The workers' process IDs."""
        return [mate.process.pid for mate in self._mates.values()]

    async def open(self) -> None:
        options = self._options
        for _ in range(options.workers):
            sockets = open_sockets(options, shared=options.workers > 1)
            self._sockets.append(sockets)
            options = replace(options, port=sockets[0][0].getsockname()[1])

    @property
    def port(self) -> int:
        return int(self._sockets[0][0][0].getsockname()[1])

    def take(self, row: Row) -> None:
        for mate in self._mates.values():
            mate.take(row)

    def finish_loading(self) -> None:
        self._loaded = True
        for mate in self._mates.values():
            mate.finish_loading()

    async def counts(self) -> list[Counts]:
        return list(await asyncio.gather(*(mate.counts() for mate in self._mates.values())))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number, sockets in enumerate(self._sockets):
                group.create_task(self._keep_alive(number, sockets), name=f"worker {number}")

    async def close(self) -> None:
        for sockets in self._sockets:
            for pair in sockets:
                for sock in pair:
                    sock.close()

    async def _keep_alive(self, number: int, sockets: Sequence[tuple[socket.socket, socket.socket]]) -> None:
        """Have a worker on these sockets, and another whenever it dies."""
        while True:
            mate = await self._start(sockets)
            self._mates[number] = mate
            try:
                # Nothing can come between the two: rows from here on go to `take`.
                self._replay(mate.take)
                if self._loaded:
                    mate.finish_loading()
                await mate.listen()
            finally:
                del self._mates[number]
                await mate.end()
            _log.warning("worker ended, starting another", worker=number, status=mate.process.returncode)
            await self._clock.sleep(_RESTART_SECONDS)

    async def _start(self, sockets: Sequence[tuple[socket.socket, socket.socket]]) -> Mate:
        ours, theirs = socket.socketpair()
        with theirs:
            passed = [sock.fileno() for pair in sockets for sock in pair]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "kubesvc.dns.worker", str(theirs.fileno()), pass_fds=[theirs.fileno(), *passed]
            )  # fmt: skip
        reader, writer = await asyncio.open_connection(sock=ours)
        options = replace(self._options, kubeconfig=None)
        numbers = [(udp.fileno(), tcp.fileno()) for udp, tcp in sockets]
        writer.write(control.frame(control.Setup(options, self._serial, numbers)))
        return Mate(process, reader, writer)
