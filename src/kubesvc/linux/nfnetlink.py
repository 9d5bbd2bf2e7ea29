"""Netfilter's netlink: requests, dumps, and batches that the kernel commits whole or not at all."""

import os
import socket
import struct
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple, Self

from kubesvc.linux import netlink_wire as wire

NETLINK_NETFILTER = 12
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_BATCH_BEGIN = 0x10
_BATCH_END = 0x11
_SEND_BUFFER = 16 << 20
_RECEIVE_BUFFER = 8 << 20

_HEADER = struct.Struct("=IHHII")
_NFGEN = struct.Struct(">BBH")


class Message(NamedTuple):
    """One command of a batch: its type (subsystem and command), flags, family and attributes."""

    kind: int
    flags: int
    family: int
    attributes: bytes


class BatchError(OSError):
    """The kernel refused a batch; `failed` has the index and the error number of each bad message.

    Nothing of the batch took effect. An index of -1 means the batch as a whole.
    """

    def __init__(self, failed: Sequence[tuple[int, int]]) -> None:
        super().__init__(failed[0][1], os.strerror(failed[0][1]))
        self.failed = tuple(failed)
        self.owners: list[Hashable | None] = []
        """On whose behalf the failed messages were sent, where the sender knows."""


class NfnetlinkSocket:
    """A NETLINK_NETFILTER socket in the current network namespace; blocking, but the kernel answers at once."""

    def __init__(self, *, groups: int = 0) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        try:
            self._prepare(groups)
        except OSError:
            self._socket.close()
            raise
        self._sequence = 0

    def _prepare(self, groups: int) -> None:
        self._socket.bind((0, groups))
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        for force, plain, size in (
            (_SO_SNDBUFFORCE, socket.SO_SNDBUF, _SEND_BUFFER),
            (_SO_RCVBUFFORCE, socket.SO_RCVBUF, _RECEIVE_BUFFER),
        ):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, force, size)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, plain, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    @property
    def port_id(self) -> int:
        """The kernel's name for this socket, with which it signs what this socket changed."""
        return int(self._socket.getsockname()[0])

    def batch(self, subsystem: int, messages: Sequence[Message]) -> None:
        """Commit all messages in one transaction, or raise BatchError."""
        if not messages:
            return
        first = self._sequence + 2
        last = first + len(messages) - 1
        parts = [_control(_BATCH_BEGIN, first - 1, subsystem)]
        for offset, message in enumerate(messages):
            flags = message.flags | (wire.NLM_F_ACK if first + offset == last else 0)
            parts.append(_pack(message, flags, first + offset))
        parts.append(_control(_BATCH_END, last + 1, subsystem))
        self._sequence = last + 1
        self._socket.send(b"".join(parts))
        failed = list(self._read_batch(first, last))
        if failed:
            raise BatchError(failed)

    def request(self, message: Message, what: str) -> bytes:
        """One question about one object; its answer's attributes (b"" for a bare acknowledgement)."""
        self._sequence += 1
        self._socket.send(_pack(message, message.flags | wire.NLM_F_REQUEST, self._sequence))
        while True:
            for kind, _, sequence, body in self._receive():
                if sequence != self._sequence:
                    continue
                if kind == wire.NLMSG_ERROR:
                    _raise(body, what)
                    return b""
                return body[4:]

    def dump(self, message: Message, what: str) -> Iterator[bytes]:
        """The attributes of all objects; raises InterruptedError if they changed while being listed."""
        self._sequence += 1
        self._socket.send(_pack(message, message.flags | wire.NLM_F_DUMP, self._sequence))
        interrupted = False
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != self._sequence:
                    continue
                interrupted = interrupted or bool(flags & wire.NLM_F_DUMP_INTR)
                if kind == wire.NLMSG_DONE:
                    if interrupted:
                        raise InterruptedError(f"{what}: changed while being listed")
                    return
                if kind == wire.NLMSG_ERROR:
                    _raise(body, what)
                yield body[4:]

    def _read_batch(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Errors of a batch. The kernel has queued all its answers before `send` returned.

        A transaction that fails as a whole is reported under its first control message.
        """
        while True:
            try:
                answers = self._receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            for kind, _, sequence, body in answers:
                if kind != wire.NLMSG_ERROR or not first - 1 <= sequence <= last + 1:
                    continue
                code = -struct.unpack_from("=i", body)[0]
                if code:
                    yield (sequence - first if first <= sequence <= last else -1), code

    def _receive(self, flags: int = 0) -> list[tuple[int, int, int, bytes]]:
        return list(wire.parse_messages(self._socket.recv(1 << 18, flags)))


def _control(kind: int, sequence: int, subsystem: int) -> bytes:
    return _HEADER.pack(20, kind, wire.NLM_F_REQUEST, sequence, 0) + _NFGEN.pack(0, 0, subsystem)


def _pack(message: Message, flags: int, sequence: int) -> bytes:
    return (
        _HEADER.pack(20 + len(message.attributes), message.kind, flags | wire.NLM_F_REQUEST, sequence, 0)
        + _NFGEN.pack(message.family, 0, 0)
        + message.attributes
    )


def _raise(body: bytes, what: str) -> None:
    code = -struct.unpack_from("=i", body)[0]
    if code:
        raise wire.parse_error(code, what)
