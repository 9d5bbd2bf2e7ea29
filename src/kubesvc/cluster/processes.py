"""Processes of a cluster: told apart from others for certain, found without any record, ended for good."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kubesvc.linux import netns

_PROC = Path("/proc")


class StillRunning(Exception):
    """Processes that did not end in time after SIGKILL (stuck in the kernel)."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process as pid and start time (clock ticks since boot), which together are never reused."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        now = _stat(self.pid)
        return now is not None and now == self.started


def process(pid: int) -> Process | None:
    """The running process with this pid."""
    started = _stat(pid)
    return None if started is None else Process(pid, started)


def find_members(root: Path, namespaces: Iterable[str]) -> list[Process]:
    """Every process in one of these network namespaces, or with its working directory in or below `root`.

    Found by looking at /proc alone, so a lost record loses nobody. This process is not among them.
    """
    inodes = {_inode(netns.DIRECTORY / name) for name in namespaces} - {-1}
    below = f"{root}/"
    found = []
    for pid in _pids():
        if pid == os.getpid():
            continue
        if _inode(_PROC / str(pid) / "ns" / "net") in inodes or f"{_cwd(pid)}/".startswith(below):
            member = process(pid)
            if member is not None:
                found.append(member)
    return found


def kill_and_wait(members: Iterable[Process], *, timeout: float = 10.0) -> None:
    """SIGKILL each one and return when all are gone. Raises StillRunning."""
    waiting: list[tuple[Process, int]] = []
    try:
        for member in members:
            with contextlib.suppress(ProcessLookupError):
                waiting.append((member, os.pidfd_open(member.pid)))
        for member, pidfd in waiting:
            if member.alive():
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        _wait_for_end(waiting, deadline=time.monotonic() + timeout)
    finally:
        for _, pidfd in waiting:
            os.close(pidfd)


def _wait_for_end(waiting: list[tuple[Process, int]], *, deadline: float) -> None:
    # A pidfd becomes readable when its process ends, whoever its parent is.
    for member, pidfd in waiting:
        if not member.alive():
            continue
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise StillRunning(f"process {member.pid} does not end after SIGKILL")


def proportional_memory(pid: int) -> int:
    """The proportional set size of a process in bytes: its own pages, and its share of shared ones."""
    try:
        text = (_PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def name_of(pid: int) -> str:
    """The name of a process as ps(1) shows it, "" for one that is gone."""
    try:
        return (_PROC / str(pid) / "comm").read_text().rstrip("\n")
    except OSError:
        return ""


def children_of(pid: int) -> list[int]:
    """The processes that this one has forked and that still run."""
    try:
        return [int(child) for child in (_PROC / str(pid) / "task" / str(pid) / "children").read_text().split()]
    except OSError:
        return []


def _pids() -> Iterator[int]:
    for entry in os.listdir(_PROC):
        if entry.isdecimal():
            yield int(entry)


def _stat(pid: int) -> int | None:
    """The start time from /proc/<pid>/stat, None for a process that is gone or a zombie."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The command, in parentheses, may itself hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1


def _cwd(pid: int) -> str:
    try:
        return os.readlink(_PROC / str(pid) / "cwd")
    except OSError:
        return ""
