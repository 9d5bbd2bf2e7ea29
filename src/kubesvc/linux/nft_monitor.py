"""Who else changes a table: nftables' own notifications, as `nft monitor` reads them.

The kernel signs each notification with the netlink port of the socket that made the change.
"""

import errno
import socket
import struct
from collections.abc import Collection, Iterator

from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink_wire import parse_attributes
from kubesvc.linux.nfnetlink import NfnetlinkSocket
from kubesvc.linux.nft_elements import FAMILIES, SUBSYSTEM

_GROUP = 1 << (7 - 1)
"""NFNLGRP_NFTABLES."""
_NEWGEN = 15
_NEWOBJECT = 18
_HEADER = struct.Struct("=IHHII")
_TABLE_OF_ANYTHING = 1
"""The attribute with the table's name has this number in tables, chains, rules, sets and elements alike."""
_RECEIVE = 1 << 18


class NftMonitor(NfnetlinkSocket):
    """Listens to changes of all tables; costs the kernel a copy of every change."""

    def __init__(self) -> None:
        super().__init__(groups=_GROUP)

    def waiting(self) -> Iterator[tuple[int, int, bytes]]:
        """What was told since the last call: the sender's port, the message's type, its body.

        A type of -1 stands for messages that were lost.
        """
        while True:
            try:
                data = self._socket.recv(_RECEIVE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as err:
                if err.errno != errno.ENOBUFS:
                    raise
                yield -1, -1, b""
                continue
            offset = 0
            while offset + _HEADER.size <= len(data):
                length, kind, _, _, port = _HEADER.unpack_from(data, offset)
                yield port, kind, data[offset + _HEADER.size : offset + length]
                offset += (length + 3) & ~3


class TableMonitor(NftMonitor):
    """Listens to changes of one table."""

    def __init__(self, family: str, table: str) -> None:
        super().__init__()
        self._family = FAMILIES[family]
        self._table = table

    def touched(self, own_ports: Collection[int]) -> bool:
        """Whether a socket other than these has changed the table since the last call; True if that is unknown."""
        found = False
        for port, kind, body in self.waiting():
            found = found or (port not in own_ports and self._is_ours(kind, body))
        return found

    def _is_ours(self, kind: int, body: bytes) -> bool:
        """Whether a change is one of the table; a lost one (-1) may have been."""
        if kind < 0:
            return True
        command = kind & 0xFF
        if kind >> 8 != SUBSYSTEM or command == _NEWGEN or command >= _NEWOBJECT or body[0] != self._family:
            return False
        return wire.text(parse_attributes(body[4:]).get(_TABLE_OF_ANYTHING)) == self._table
