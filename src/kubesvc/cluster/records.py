"""The record of a cluster's processes: who runs, so that a new supervisor and `status` find them."""

import fcntl
import json
import os
import struct
from dataclasses import asdict, dataclass

from kubesvc.cluster.ledger import StateDirectory
from kubesvc.cluster.processes import Process

SUPERVISOR = "supervisor"
KEEPER = "keeper"

# struct flock of Linux where off_t has 64 bits.
_FLOCK = "hhqqi"


@dataclass(frozen=True, slots=True)
class Record:
    """One role's process, pid 0 while there is none; `keeps` are the numbers of the descriptors it was given.

    `failures` counts, while it is down, the deaths that each came soon after a start.
    """

    pid: int
    started: int
    fingerprint: str = ""
    keeps: tuple[int, ...] = ()
    failures: int = 0

    @property
    def process(self) -> Process:
        return Process(self.pid, self.started)


def write_records(state: StateDirectory, records: dict[str, Record]) -> None:
    """Replace the record as a whole. Losing it in a crash of the machine loses nothing: the processes are gone too."""
    path = state.processes_file
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps({name: asdict(record) for name, record in records.items()}, indent=1))
    beside.replace(path)


def running(state: StateDirectory) -> dict[str, Record]:
    """The roles (and the supervisor) on record that are alive now."""
    return {name: record for name, record in recorded(state).items() if record.pid and record.process.alive()}


def recorded(state: StateDirectory) -> dict[str, Record]:
    """The record as it was last written; empty when there is none that can be read."""
    try:
        document = json.loads(state.processes_file.read_text())
        return {name: _parse(entry) for name, entry in document.items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


def supervisor_alive(state: StateDirectory) -> bool:
    """Whether a supervisor holds its lock; the kernel lets go of it however the process ends."""
    try:
        descriptor = os.open(state.supervisor_lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Asked for, not tried: a lock taken for a moment could meet a supervisor that is just starting.
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))[0]
    finally:
        os.close(descriptor)
    return bool(kind != fcntl.F_UNLCK)


def _parse(entry: dict[str, object]) -> Record:
    keeps = entry["keeps"]
    if not isinstance(keeps, list):
        raise TypeError("keeps: want a list")
    failures = int(str(entry.get("failures", 0)))
    return Record(int(str(entry["pid"])), int(str(entry["started"])), str(entry["fingerprint"]), tuple(keeps), failures)
