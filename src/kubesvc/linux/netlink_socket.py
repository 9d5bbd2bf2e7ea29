"""A blocking netlink socket: one request at a time, its answer or its error; dumps read to their end."""

import socket
import struct
from contextlib import nullcontext
from typing import Self

from kubesvc.linux import libc
from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink_wire import NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR


class NetlinkSocket:
    """A NETLINK_ROUTE socket in a network namespace (this thread's, unless a descriptor of another is given)."""

    def __init__(self, netns: int | None = None) -> None:
        self._socket = _open_in(netns)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def request(self, kind: int, flags: int, body: bytes, what: str, *, acknowledge: bool = True) -> bytes:
        """Send one request; the body of its answer (b"" for a bare acknowledgement)."""
        self._sequence += 1
        flags |= NLM_F_ACK if acknowledge else 0
        self._socket.send(wire.pack_message(kind, flags, self._sequence, body))
        while True:
            for answer, _, sequence, data in wire.parse_messages(self._socket.recv(1 << 16)):
                if sequence != self._sequence:
                    continue
                if answer != wire.NLMSG_ERROR:
                    return data
                _raise_error(data, what)
                return b""

    def dump(self, kind: int, body: bytes, what: str) -> list[bytes]:
        """All objects of a kind; asked again when the kernel says that they changed meanwhile."""
        while True:
            found, interrupted = self._dump_once(kind, body, what)
            if not interrupted:
                return found

    def _dump_once(self, kind: int, body: bytes, what: str) -> tuple[list[bytes], bool]:
        self._sequence += 1
        self._socket.send(wire.pack_message(kind, NLM_F_DUMP, self._sequence, body))
        found: list[bytes] = []
        interrupted = False
        while True:
            for answer, flags, sequence, data in wire.parse_messages(self._socket.recv(1 << 18)):
                if sequence != self._sequence:
                    continue
                interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                if answer == wire.NLMSG_DONE:
                    return found, interrupted
                if answer == wire.NLMSG_ERROR:
                    _raise_error(data, what)
                found.append(data)


def _open_in(netns: int | None) -> socket.socket:
    """A socket belongs for good to the namespace in which it was opened."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with nullcontext() if netns is None else libc.visiting_netns(netns):
        opened = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    try:
        opened.bind((0, 0))
    except OSError:
        opened.close()
        raise
    return opened


def _raise_error(data: bytes, what: str) -> None:
    code = -struct.unpack_from("=i", data)[0]
    if code:
        raise wire.parse_error(code, what)
