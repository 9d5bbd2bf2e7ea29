"""The size of a table of iptables-legacy, which every change of its rules changes; asked for in no time.

`IPT_SO_GET_INFO` and `IP6T_SO_GET_INFO` of the kernel's ip_tables.h: a `struct ipt_getinfo`.
"""

import socket
import struct
from typing import NamedTuple

from kubesvc.linux import libc

_GET_INFO = 64
_NAME_SIZE = 32
_INFO = struct.Struct(f"={_NAME_SIZE}s 11I 2I")
_LEVELS = {socket.AF_INET: socket.SOL_IP, socket.AF_INET6: socket.IPPROTO_IPV6}


class TableSize(NamedTuple):
    """How many entries (rules, and two for each chain) a table has, and how many bytes they take."""

    entries: int
    size: int


class TableSizes:
    """Asks for the sizes of one family's tables in the current network namespace."""

    def __init__(self, *, ipv6: bool) -> None:
        self._family = socket.AF_INET6 if ipv6 else socket.AF_INET
        self._socket = socket.socket(self._family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)

    def read(self, table: str) -> TableSize:
        """The size of a table as it is now; raises OSError."""
        asked = _INFO.pack(table.encode(), *[0] * 13)
        answer = libc.getsockopt(self._socket.fileno(), _LEVELS[self._family], _GET_INFO, asked)
        return TableSize(*_INFO.unpack(answer)[-2:])

    def close(self) -> None:
        self._socket.close()
