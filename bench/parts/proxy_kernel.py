"""What the kernel and /proc say while a proxy works: nftables' own notifications, rules, memory."""

import errno
import os
import select
import socket
import time
from pathlib import Path

NFNLGRP_NFTABLES = 7
SO_RCVBUFFORCE = 33
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1
NETLINK_NETFILTER = 12


class Monitor:
    """Nftables' notifications of this namespace; the kernel sends them once a change is in force."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)
        self._buffer = bytearray(1 << 20)

    def close(self) -> None:
        self._socket.close()

    def read(self, seconds: float) -> bytes:
        """The next notification; b"" when none came in time."""
        if not select.select([self._socket], [], [], max(seconds, 0))[0]:
            return b""
        try:
            return bytes(memoryview(self._buffer)[: self._socket.recv_into(self._buffer)])
        except OSError as err:
            if err.errno != errno.ENOBUFS:
                raise
            return b"\0"  # some were lost

    def drain(self) -> int:
        """Forget what is queued; how many datagrams that was."""
        count = 0
        while self.read(0):
            count += 1
        return count

    def wait_for(self, needle: bytes, seconds: float) -> int:
        """The monotonic nanosecond at which a notification with these bytes was here; raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if needle in self.read(left):
                return time.monotonic_ns()
        raise TimeoutError(f"no rule about {needle!r} within {seconds:g} s")


def memory_mib(pid: int) -> tuple[float, float, float]:
    """Resident and proportional set size of a process, and the most it ever had resident, in MiB."""
    rollup = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    return rollup["Rss"], rollup["Pss"], _fields(Path(f"/proc/{pid}/status"))["VmHWM"]


def _fields(path: Path) -> dict[str, float]:
    found = {}
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == "kB":
            found[words[0].rstrip(":")] = int(words[1]) / 1024
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body of a GET on loopback; 0 when nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            answer = b""
            while data := connection.recv(1 << 16):
                answer += data
    except OSError:
        return 0, ""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def metric(port: int, name: str) -> float:
    """The sum over all labels of a metric that a proxy exports."""
    lines = get(port, "/metrics")[1].splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))
