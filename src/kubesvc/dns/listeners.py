"""All sockets of one answering process."""

import asyncio
import os
import socket
from pathlib import Path

from kubesvc.dns import wire
from kubesvc.dns.cache import Cache
from kubesvc.dns.forward import STALE_PATIENCE, Forwarding, Routes
from kubesvc.dns.hosts import Hosts
from kubesvc.dns.meter import Meter
from kubesvc.dns.metrics import Counts, count
from kubesvc.dns.options import DnsOptions, HostsOptions
from kubesvc.dns.responder import Pending, Responder
from kubesvc.dns.server import Forwarder, UdpServer, tcp_socket, udp_socket
from kubesvc.dns.tcp import Connection, TcpServer
from kubesvc.dns.tuning import ForwardTuning
from kubesvc.dns.upstream import read_upstreams
from kubesvc.observe import log

_log = log("dns.listeners")
_FOREVER = 86400.0


def open_sockets(options: DnsOptions, *, shared: bool) -> list[tuple[socket.socket, socket.socket]]:
    """A UDP and a TCP socket for each address of `options.bind`, on the same port.

    Raises OSError naming the address that cannot be had.
    """
    opened: list[tuple[socket.socket, socket.socket]] = []
    for address in options.bind.split(","):
        try:
            udp = udp_socket(address, options.port, shared=shared)
            opened.append((udp, tcp_socket(address, udp.getsockname()[1], shared=shared)))
        except OSError as err:
            for pair in opened:
                for sock in pair:
                    sock.close()
            raise OSError(err.errno, f"cannot answer on {address} port {options.port}: {err.strerror}") from err
    return opened


class Listeners:
    """UDP and TCP sockets, answered by one responder."""

    def __init__(self, options: DnsOptions, responder: Responder) -> None:
        self._options = options
        self._responder = responder
        self.meter = Meter()
        self.stream_meter = Meter()
        self._forwarding = make_forwarding(options)
        self.forwarder = Forwarder(responder, self._forward)
        self._note = log_query if options.log_queries else None
        self.tcp = TcpServer(responder, self.stream_meter, self.forwarder, note=self._note)
        self._udp: list[UdpServer] = []
        self._tcp: list[asyncio.Server] = []

    async def adopt(self, udp: socket.socket, tcp: socket.socket) -> None:
        """Begin to answer on sockets that are bound."""
        server = UdpServer(udp, self._responder, self.meter, self.forwarder, note=self._note)
        server.start()
        self._udp.append(server)
        loop = asyncio.get_running_loop()
        self._tcp.append(await loop.create_server(lambda: Connection(self.tcp), sock=tcp, backlog=512))
        _log.info("answering", address=udp.getsockname()[0], port=udp.getsockname()[1])

    @property
    def port(self) -> int:
        """The port in use, which matters when any was asked for."""
        return int(self._tcp[0].sockets[0].getsockname()[1])

    def counts(self) -> Counts:
        forwarding = self._forwarding.counts(self.forwarder.rejected)
        return count(self._responder.tallies.all(), (self.meter, self.stream_meter), forwarding)

    async def run(self) -> None:
        """Look after connections and upstreams until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.tcp.watch_idle(), name="idle connections")
            group.create_task(self._forwarding.run(), name="upstreams")
            if self._options.hosts is not None:
                group.create_task(self._keep_hosts(self._options.hosts), name="hosts")

    async def close(self) -> None:
        for udp in self._udp:
            udp.close()
        for server in self._tcp:
            server.close()
        self.tcp.close()
        await self.forwarder.close()
        await self._forwarding.close()

    async def _forward(self, pending: Pending) -> bytes:
        query = pending.query
        resolution = await self._forwarding.resolve(pending.name, query.qtype, dnssec_ok=query.dnssec_ok)
        return self._responder.complete(pending, resolution)

    async def _keep_hosts(self, options: HostsOptions) -> None:
        """Take in the hosts file whenever it has changed; one that cannot be read leaves what was known."""
        seen: object = None
        while True:
            stamp, text = await asyncio.to_thread(_read_hosts, options.file, seen)
            if text is not None:
                seen = stamp
                hosts = Hosts(f"{options.text}\n{text}", ttl=options.ttl, reverse=options.reverse)
                self._responder.use_hosts(hosts)
            await asyncio.sleep(options.reload or _FOREVER)


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


def make_forwarding(options: DnsOptions) -> Routes:
    """The ways to foreign names. Raises ValueError and OSError for upstreams that are none."""
    routes = []
    for zone, servers in (*options.stub_domains, *([(".", options.upstreams)] if options.upstreams else [])):
        cache = Cache(size=options.cache_size, max_ttl=options.cache_ttl, tuning=options.cache)
        tuning = dict(options.forward).get(zone, ForwardTuning())
        patience = 0.0 if options.cache.stale_at_once else STALE_PATIENCE
        forwarding = Forwarding(
            read_upstreams(servers), cache, policy=options.policy, tuning=tuning, stale_patience=patience
        )  # fmt: skip
        routes.append((wire.name_from_text(zone), forwarding))
    return Routes(routes)
