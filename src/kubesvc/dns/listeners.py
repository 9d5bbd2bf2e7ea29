"""All sockets of one answering process."""

import asyncio
import socket

from kubesvc.dns.cache import Cache
from kubesvc.dns.forward import Forwarding
from kubesvc.dns.meter import Meter
from kubesvc.dns.metrics import Counts, count
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.responder import Pending, Responder
from kubesvc.dns.server import Forwarder, UdpServer, tcp_socket, udp_socket
from kubesvc.dns.tcp import Connection, TcpServer
from kubesvc.dns.upstream import read_upstreams
from kubesvc.observe import log

_log = log("dns.listeners")


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
        self._forwarding = make_forwarding(options)
        self.forwarder = Forwarder(responder, self._forward)
        self.tcp = TcpServer(responder, self.meter, self.forwarder)
        self._udp: list[UdpServer] = []
        self._tcp: list[asyncio.Server] = []

    async def adopt(self, udp: socket.socket, tcp: socket.socket) -> None:
        """Begin to answer on sockets that are bound."""
        server = UdpServer(udp, self._responder, self.meter, self.forwarder)
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
        forward = None
        if self._forwarding is not None:
            forward = self._forwarding.counts()
            forward.rejects = self.forwarder.rejected
        return count(self._responder.tallies.all(), self.meter, forward)

    async def run(self) -> None:
        """Look after connections and upstreams until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.tcp.watch_idle(), name="idle connections")
            if self._forwarding is not None:
                group.create_task(self._forwarding.run(), name="upstreams")

    async def close(self) -> None:
        for udp in self._udp:
            udp.close()
        for server in self._tcp:
            server.close()
        self.tcp.close()
        await self.forwarder.close()
        if self._forwarding is not None:
            await self._forwarding.close()

    async def _forward(self, pending: Pending) -> bytes:
        if self._forwarding is None:
            return self._responder.give_up(pending)
        query = pending.query
        resolution = await self._forwarding.resolve(pending.name, query.qtype, dnssec_ok=query.dnssec_ok)
        return self._responder.complete(pending, resolution)


def make_forwarding(options: DnsOptions) -> Forwarding | None:
    """The way to foreign names; None without upstreams. Raises ValueError and OSError for bad ones."""
    if not options.upstreams:
        return None
    return Forwarding(read_upstreams(options.upstreams), Cache(size=options.cache_size), policy=options.policy)
