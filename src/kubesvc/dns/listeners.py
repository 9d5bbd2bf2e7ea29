"""All sockets of one answering process."""

import asyncio
import socket

from kubesvc.dns.meter import Meter
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.responder import Responder
from kubesvc.dns.server import Forwarder, UdpServer, tcp_socket, udp_socket
from kubesvc.dns.tcp import Connection, TcpServer
from kubesvc.observe import log

_log = log("dns.listeners")


class Listeners:
    """UDP and TCP on every address of `options.bind`, answered by one responder."""

    def __init__(self, options: DnsOptions, responder: Responder) -> None:
        self._options = options
        self.meter = Meter()
        self.forwarder = Forwarder(responder, None)
        self.tcp = TcpServer(responder, self.meter, self.forwarder)
        self._responder = responder
        self._udp: list[UdpServer] = []
        self._tcp: list[asyncio.Server] = []

    async def open(self) -> None:
        """Bind everything and begin to answer; raises OSError naming the address that is taken."""
        shared = self._options.workers > 1
        for address in self._options.bind.split(","):
            try:
                udp = udp_socket(address, self._options.port, shared=shared)
                tcp = tcp_socket(address, udp.getsockname()[1], shared=shared)
            except OSError as err:
                await self.close()
                raise OSError(
                    err.errno, f"cannot answer on {address} port {self._options.port}: {err.strerror}"
                ) from err
            await self.adopt(udp, tcp)
            _log.info("answering", address=address, port=udp.getsockname()[1])

    async def adopt(self, udp: socket.socket, tcp: socket.socket) -> None:
        """Answer on sockets that are bound already."""
        server = UdpServer(udp, self._responder, self.meter, self.forwarder)
        server.start()
        self._udp.append(server)
        loop = asyncio.get_running_loop()
        self._tcp.append(await loop.create_server(lambda: Connection(self.tcp), sock=tcp, backlog=512))

    @property
    def port(self) -> int:
        """The port in use, which matters when any was asked for."""
        return int(self._tcp[0].sockets[0].getsockname()[1])

    async def run(self) -> None:
        """Look after the connections until cancelled."""
        await self.tcp.watch_idle()

    async def close(self) -> None:
        for udp in self._udp:
            udp.close()
        for server in self._tcp:
            server.close()
        self.tcp.close()
        await self.forwarder.close()
