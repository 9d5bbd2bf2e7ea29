"""What a machine has only once, held by whoever uses it: the names and the networks of clusters.

Abstract Unix sockets: all processes of a network namespace see the same ones, whatever files they see
(two state homes, a chroot), and the kernel takes them back however their holder ends. A supervisor
holds its cluster's for life; between its end and the next one the links themselves are in the way.
"""

import errno
import socket
from typing import Self


def claim(what: str) -> socket.socket | None:
    """Hold `what` until the returned socket is closed; None while another process holds it."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"\0kubesvc/{what}")
    except OSError as err:
        held.close()
        if err.errno == errno.EADDRINUSE:
            return None
        raise
    return held


class Claims:
    """Claims of one process, released together at the end of the `with` block; forks go on holding them."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self, *wanted: str) -> None:
        """Hold all of `wanted`, or none of them and raise Claimed with the first that another process holds."""
        taken: list[socket.socket] = []
        for what in wanted:
            held = claim(what)
            if held is None:
                _release(taken)
                raise Claimed(what)
            taken.append(held)
        self._held += taken

    def descriptors(self) -> list[int]:
        return [held.fileno() for held in self._held]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        _release(self._held)


class Claimed(Exception):
    """Another process holds `what`."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is held by another process")
        self.what = what


def cluster_claim(name: str) -> str:
    return f"cluster/{name}"


def network_claim(network: str) -> str:
    return f"network/{network}"


def _release(claims: list[socket.socket]) -> None:
    for held in claims:
        held.close()
