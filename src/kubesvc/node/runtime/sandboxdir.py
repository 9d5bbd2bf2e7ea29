"""A pod's directory on the host: where its shim listens and what is remembered of it.

pods/<uid>/sandbox.json   the specification, the shim's process id and start time
pods/<uid>/socket         where the shim listens
pods/<uid>/{etc,volumes,logs,containers,root,shm}
"""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from kubesvc.node.runtime.protocol import SandboxSpec

_SOCKET = "socket"
_MEMORY = "sandbox.json"


class ShimRecord(msgspec.Struct, frozen=True):
    """What a restarted agent, or a clean-up, finds of a shim."""

    sandbox: SandboxSpec
    pid: int
    start_time: int


_decoder = msgspec.json.Decoder(ShimRecord)


def prepare(directory: Path) -> None:
    """Make the directories that a sandbox needs. Idempotent."""
    for name in ("etc", "volumes", "logs", "containers", "root", "shm"):
        (directory / name).mkdir(mode=0o755, parents=True, exist_ok=True)


def remember_shim(spec: SandboxSpec, pid: int) -> None:
    """Write the record, whole or not at all."""
    record = ShimRecord(spec, pid, process_start_time(pid) or 0)
    path = Path(spec.directory, _MEMORY)
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(record))
    os.replace(draft, path)


def recall_shim(directory: Path) -> ShimRecord | None:
    """The record of the pod in `directory`; None when there is none that can be read."""
    try:
        return _decoder.decode((directory / _MEMORY).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None


def is_alive(record: ShimRecord) -> bool:
    """Whether the very process of the record still runs; a later one with its number does not count."""
    return process_start_time(record.pid) == record.start_time != 0


def process_start_time(pid: int) -> int | None:
    """Field 22 of /proc/<pid>/stat (ticks since boot); None for a process that is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = stat.rpartition(") ")[2].split(" ")
    return None if state in "ZX" else int(rest[18])


def kill_shim(record: ShimRecord) -> None:
    """Kill the shim, and so its pod. Idempotent."""
    if is_alive(record):
        with suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGKILL)


def bind_socket(directory: str) -> socket.socket:
    """Listen in `directory`, in place of a dead shim."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with suppress(FileNotFoundError):
        os.unlink(f"{directory}/{_SOCKET}")
    with _short_path(directory) as path:
        listener.bind(path)
    listener.listen(8)
    return listener


def connect_socket(directory: str) -> socket.socket:
    """Connect to the shim of `directory`; OSError when it is gone."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _short_path(directory) as path:
            connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


@contextmanager
def _short_path(directory: str) -> Iterator[str]:
    """A socket's address holds 107 bytes of path; through /proc any directory fits."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{_SOCKET}"
    finally:
        os.close(fd)
