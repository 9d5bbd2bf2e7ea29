"""Worker processes that answer while this one watches, so that no change can hold an answer up.

The sockets belong to the parent and outlive any worker: when one dies, what clients ask meanwhile
waits in the socket for the next, which is filled from what the watch holds.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace

import msgspec

from kubesvc.aio.clock import Clock, SystemClock
from kubesvc.dns import control
from kubesvc.dns.answering import Replay
from kubesvc.dns.listeners import Pair, Place, open_sockets, places_of, send_pair
from kubesvc.dns.metrics import Counts
from kubesvc.dns.options import DnsOptions
from kubesvc.observe import log

_log = log("dns.crew")
_ROWS_PER_FRAME = 8
# glibc otherwise takes ever larger tables from its heap once one was freed, and the holes stay: 1 to 2 MB.
_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536"}
_MAX_BEHIND = 256 << 20
_COUNTS_SECONDS = 2.0
_RESTART_SECONDS = 0.1
_REFUSED_SECONDS = 1.0


class Mate:
    """One worker process and the talk with it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        sockets: socket.socket,
    ) -> None:
        self.process = process
        self.ready = False
        self._sockets = sockets
        self._reader = reader
        self._writer = writer
        self._rows: list[msgspec.Raw] = []
        self._counts: asyncio.Future[Counts] | None = None

    def take(self, packed: bytes) -> None:
        """Send this row, together with those that come in the same turn of the loop."""
        if not self._rows:
            asyncio.get_running_loop().call_soon(self.flush)
        self._rows.append(msgspec.Raw(packed))

    def flush(self) -> None:
        rows, self._rows = self._rows, []
        for at in range(0, len(rows), _ROWS_PER_FRAME):
            self._send(control.Rows(rows[at : at + _ROWS_PER_FRAME]))

    def finish_loading(self) -> None:
        self.flush()
        self._send(control.Synced())

    def change(self, options: DnsOptions, opened: Mapping[Place, Pair], *, fresh: bool) -> None:
        """Have it answer by `options`, and on `opened` as well."""
        self.flush()
        try:
            for place, pair in opened.items():
                send_pair(self._sockets, place, pair)
        except OSError as err:  # it is gone, and whoever comes after it starts with all of this
            _log.warning("worker takes no sockets", pid=self.process.pid, reason=err)
            return
        self._send(control.Change(_for_worker(options), fresh, len(opened)))

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
        # One that dies with rows unread resets the talk.
        with suppress(ConnectionError):
            while data := await self._reader.read(65536):
                for body in deframer.feed(data):
                    self._hear(control.from_worker.decode(body))

    def _hear(self, message: control.FromWorker) -> None:
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
        self._sockets.close()
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
        self._sockets: list[dict[Place, Pair]] = []  # by worker
        self._edition = 0  # of the sockets
        self._mates: dict[int, Mate] = {}

    @property
    def ready(self) -> bool:
        return len(self._mates) == self._options.workers and all(mate.ready for mate in self._mates.values())

    async def open(self) -> None:
        self._sockets = [{} for _ in range(self._options.workers)]
        self._bind(self._options)

    async def change(self, options: DnsOptions, *, fresh: bool) -> None:
        opened = self._bind(options)
        self._options = options
        for number, mate in self._mates.items():
            mate.change(options, opened[number], fresh=fresh)
            if fresh:
                self._replay(mate.take)
                if self._loaded:
                    mate.finish_loading()

    def _bind(self, options: DnsOptions) -> list[dict[Place, Pair]]:
        """Have every worker's sockets in the places of `options`; those that are new. OSError changes nothing."""
        places, opened = places_of(options), list[dict[Place, Pair]]()
        try:
            for sockets in self._sockets:
                missing = [place for place in places if place not in sockets]
                opened.append(open_sockets(missing, shared=options.workers > 1))
        except OSError:
            for pair in (pair for sockets in opened for pair in sockets.values()):
                pair.close()
            raise
        self._edition += 1
        for sockets, new in zip(self._sockets, opened, strict=True):
            for place in sockets.keys() - set(places):
                sockets.pop(place).close()
            sockets.update(new)
        return opened

    def take(self, packed: bytes) -> None:
        for mate in self._mates.values():
            mate.take(packed)

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
            for pair in sockets.values():
                pair.close()

    async def _keep_alive(self, number: int, sockets: Mapping[Place, Pair]) -> None:
        """Have a worker on these sockets, and another whenever it dies."""
        while True:
            edition = self._edition
            try:
                mate = await self._start(sockets)
            except OSError as err:  # no process or no memory to be had at the moment
                _log.error("worker not started, trying again", worker=number, reason=err)
                await self._clock.sleep(_REFUSED_SECONDS)
                continue
            if edition != self._edition:
                await mate.end()
                continue
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

    async def _start(self, sockets: Mapping[Place, Pair]) -> Mate:
        """A worker on these sockets; raises OSError, and leaves nothing open then."""
        passed = {place: (pair.udp.fileno(), pair.tcp.fileno()) for place, pair in sockets.items()}
        with ExitStack() as opened:
            ours, theirs = map(opened.enter_context, socket.socketpair())
            # Keeps its messages apart, and so each pair of sockets with its place.
            sending, receiving = map(opened.enter_context, socket.socketpair(type=socket.SOCK_SEQPACKET))
            talk = (theirs.fileno(), receiving.fileno())
            with theirs, receiving:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "kubesvc.dns.worker", *map(str, talk),
                    pass_fds=[*talk, *(number for both in passed.values() for number in both)],
                    env={**_ENVIRONMENT, **os.environ},
                )  # fmt: skip
            reader, writer = await asyncio.open_connection(sock=ours)
            opened.pop_all()
        places = [(*place, *both) for place, both in passed.items()]
        setup = control.Setup(_for_worker(self._options), self._serial, places, patient=self._loaded)
        writer.write(control.frame(setup))
        return Mate(process, reader, writer, sending)


def _for_worker(options: DnsOptions) -> DnsOptions:
    """Without what only the watching process looks at."""
    return replace(options, kubeconfig=None, corefile=None, config_dir=None)
