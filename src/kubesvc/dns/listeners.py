"""All sockets of one answering process, and what they are answered by."""

import asyncio
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kubesvc.dns import wire
from kubesvc.dns.hosts import Hosts
from kubesvc.dns.meter import Meter
from kubesvc.dns.metrics import Counts, count
from kubesvc.dns.options import DnsOptions, HostsOptions
from kubesvc.dns.responder import Pending, Responder
from kubesvc.dns.routes import Route, Routes, routes_of
from kubesvc.dns.server import Forwarder, Note, UdpServer, tcp_socket, udp_socket
from kubesvc.dns.tcp import Connection, TcpServer
from kubesvc.observe import log

_log = log("dns.listeners")
_FOREVER = 86400.0


class Place(NamedTuple):
    """Where to answer. Port 0 is any."""

    address: str
    port: int


class Pair(NamedTuple):
    """The sockets of one place, on the same port."""

    udp: socket.socket
    tcp: socket.socket

    @property
    def port(self) -> int:
        return int(self.udp.getsockname()[1])

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()


def places_of(options: DnsOptions) -> list[Place]:
    return [Place(address, options.port) for address in options.bind.split(",")]


def open_sockets(places: Collection[Place], *, shared: bool) -> dict[Place, Pair]:
    """A UDP and a TCP socket for each place. Raises OSError naming the address that cannot be had."""
    opened: dict[Place, Pair] = {}
    for place in places:
        try:
            udp = udp_socket(*place, shared=shared)
            try:
                opened[place] = Pair(udp, tcp_socket(place.address, udp.getsockname()[1], shared=shared))
            except OSError:
                udp.close()
                raise
        except OSError as err:
            for pair in opened.values():
                pair.close()
            reason = f"cannot answer on {place.address} port {place.port}: {err.strerror}"
            raise OSError(err.errno, reason) from err
    return opened


def send_pair(channel: socket.socket, place: Place, pair: Pair) -> None:
    """Hand the very sockets over, on a channel beside the stream that keeps messages apart."""
    socket.send_fds(channel, [f"{place.port} {place.address}".encode()], [pair.udp.fileno(), pair.tcp.fileno()])


def receive_pair(channel: socket.socket) -> tuple[Place, Pair]:
    """What `send_pair` sent first of what has not been received."""
    text, descriptors, *_ = socket.recv_fds(channel, 256, 2)
    port, _, address = text.decode().partition(" ")
    udp, tcp = (socket.socket(fileno=number) for number in descriptors)
    return Place(address, int(port)), Pair(udp, tcp)


class Listeners:
    """UDP and TCP sockets, answered by one responder at a time.

    `change` puts another in its place between two questions: the sockets that are still wanted, the
    connections and what has been counted stay, and what is being asked of upstreams ends as it began.
    The constructor raises ValueError and OSError for upstreams that are none.
    """

    def __init__(self, options: DnsOptions, responder: Responder) -> None:
        self._options = options
        self._responder = responder
        self.meter = Meter()
        self.stream_meter = Meter()
        self._routes = Routes().followed_by(routes_of(options))
        self.forwarder = Forwarder(responder, self._forward)
        self.tcp = TcpServer(responder, self.stream_meter, self.forwarder, note=_note_of(options))
        self._udp: dict[Place, UdpServer] = {}
        self._tcp: dict[Place, asyncio.Server] = {}
        self._changed = asyncio.Event()
        self._retired: list[Routes] = []
        self._hosts_seen = _load_hosts(options, responder)

    async def adopt(self, place: Place, pair: Pair) -> None:
        """Begin to answer on sockets that are bound, unless that is no longer wanted."""
        if place not in places_of(self._options):
            pair.close()
            return
        server = UdpServer(pair.udp, self._responder, self.meter, self.forwarder, note=_note_of(self._options))
        server.start()
        self._udp[place] = server
        loop = asyncio.get_running_loop()
        self._tcp[place] = await loop.create_server(lambda: Connection(self.tcp), sock=pair.tcp, backlog=512)
        _log.info("answering", address=place.address, port=pair.port)

    def abandon(self, place: Place) -> None:
        """Answer there no longer; connections stay open for as long as their clients like."""
        self._udp.pop(place).close()
        self._tcp.pop(place).close()

    @property
    def places(self) -> Mapping[Place, UdpServer]:
        return self._udp

    def change(self, options: DnsOptions, routes: Sequence[Route], responder: Responder) -> None:
        """Answer with `responder`, and as `options` and their `routes` say, from the next question on."""
        after = self._routes.followed_by(routes)
        self._hosts_seen = _load_hosts(options, responder)
        self._retired.append(self._routes)
        self._options, self._responder, self._routes = options, responder, after
        note = _note_of(options)
        for server in self._udp.values():
            server.responder, server.note = responder, note
        self.tcp.responder, self.tcp.note, self.forwarder.responder = responder, note, responder
        for place in self._udp.keys() - set(places_of(options)):
            self.abandon(place)
        self._changed.set()

    def counts(self) -> Counts:
        forwarding = self._routes.counts(self.forwarder.rejected)
        return count(self._responder.tallies.all(), (self.meter, self.stream_meter), forwarding)

    async def run(self) -> None:
        """Look after connections, upstreams and the hosts file until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.tcp.watch_idle(), name="idle connections")
            while True:
                self._changed.clear()
                while self._retired:
                    group.create_task(self._retired.pop().retire(self._routes), name="retired upstreams")
                upkeep = group.create_task(self._upkeep(), name="upkeep")
                await self._changed.wait()
                upkeep.cancel()

    async def _upkeep(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._routes.run(), name="upstreams")
            if self._options.hosts is not None:
                group.create_task(self._keep_hosts(self._options.hosts), name="hosts")

    async def close(self) -> None:
        for place in list(self._udp):
            self.abandon(place)
        self.tcp.close()
        await self.forwarder.close()
        await self._routes.close()

    async def _forward(self, pending: Pending) -> bytes:
        query, responder = pending.query, self._responder
        resolution = await self._routes.resolve(pending.name, query.qtype, dnssec_ok=query.dnssec_ok)
        return responder.complete(pending, resolution)

    async def _keep_hosts(self, options: HostsOptions) -> None:
        """Take in the hosts file whenever it has changed; one that cannot be read leaves what was known."""
        while True:
            await asyncio.sleep(options.reload or _FOREVER)
            stamp, text = await asyncio.to_thread(_read_hosts, options.file, self._hosts_seen)
            if text is not None:
                self._hosts_seen = stamp
                self._responder.use_hosts(_hosts(options, text))


def _load_hosts(options: DnsOptions, responder: Responder) -> object:
    """Give `responder` its fixed names; the stamp of the file they are from.

    Read here and now: nobody may be told that a name of the file does not exist.
    """
    if options.hosts is None:
        return None
    stamp, text = _read_hosts(options.hosts.file, None)
    responder.use_hosts(_hosts(options.hosts, text or ""))
    return stamp


def _hosts(options: HostsOptions, text: str) -> Hosts:
    return Hosts(f"{options.text}\n{text}", ttl=options.ttl, reverse=options.reverse)


def _read_hosts(file: str, seen: object) -> tuple[object, str | None]:
    """The file's stamp and, unless it is the one seen last, its text."""
    if not file:
        return "", "" if seen is None else None
    try:
        status = os.stat(file)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        return stamp, None if stamp == seen else Path(file).read_text(errors="replace")
    except OSError as err:
        _log.warning("hosts file not read", file=file, reason=err.strerror)
        return seen or "", "" if seen is None else None


def _note_of(options: DnsOptions) -> Note | None:
    return log_query if options.log_queries else None


def log_query(transport: str, query: bytes, reply: bytes, seconds: float) -> None:
    """One line for one answered query; `query` and `reply` are whole messages."""
    try:
        name, qtype, *_ = wire.read_question(query)
    except wire.BadMessage:
        name, qtype = wire.ROOT, 0
    _log.info(
        "query",
        name=wire.name_to_text(name),
        type=wire.type_text(qtype),
        transport=transport,
        rcode=wire.rcode_text(reply[3] & 0xF),
        size=len(reply),
        us=round(seconds * 1e6),
    )
