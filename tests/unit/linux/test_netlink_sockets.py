"""Netlink sockets that the kernel does not let be bound."""

import errno
import os
import socket
from collections.abc import Callable

import pytest

from kubesvc.linux.netlink_socket import NetlinkSocket
from kubesvc.linux.nfnetlink import NfnetlinkSocket

MADE: list[socket.socket] = []


class Unbindable(socket.socket):
    def __init__(self, family: int, kind: int, protocol: int) -> None:
        super().__init__(family, kind, protocol)
        MADE.append(self)

    def bind(self, address: object, /) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


@pytest.mark.parametrize("make", [NetlinkSocket, NfnetlinkSocket])
def test_a_socket_that_cannot_be_bound_is_closed(make: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    MADE.clear()
    monkeypatch.setattr(socket, "socket", Unbindable)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        make()
    assert [each.fileno() for each in MADE] == [-1]
