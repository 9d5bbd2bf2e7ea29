"""The ledger of a cluster: what it is and what it put on the machine, on disk before it is made.

Everything the cluster adds is named by its topology (`ksv-<name>-*` namespaces, one host link, the
routes over it) or lies below its state directory, so `down` needs no more than this file and, when
even that is gone, the name.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from kubesvc.cluster.topology import Topology

_FORMAT = 1
_LOCK = ".lock"
_LOCK_DEADLINE = 60.0
_LOCK_INTERVAL = 0.02


class ClusterError(Exception):
    """What a person has to know about a cluster; `hint` is the next step."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class StateError(ClusterError):
    """The state directory cannot be used: unreadable, of another format, full or not permitted."""


def home() -> Path:
    """Where clusters keep their state: `$KUBESVC_HOME`, else /var/lib/kubesvc."""
    return Path(os.environ.get("KUBESVC_HOME") or "/var/lib/kubesvc")


@dataclass(frozen=True, slots=True)
class UserContext:
    """What `up` put into a person's kubeconfig, and what `down` has to restore there."""

    path: str
    context: str
    previous: str
    created: bool
    directories: tuple[str, ...] = ()


def inherited(context: UserContext, left: UserContext) -> UserContext:
    """`context`, to be restored to what `left` had found, when `left` is what it had found itself.

    So the person's own context comes back in whichever order clusters go; likewise the file goes with the last.
    """
    if context.path != left.path:
        return context
    previous = left.previous if context.previous == left.context else context.previous
    directories = context.directories or left.directories
    return replace(context, previous=previous, created=context.created or left.created, directories=directories)


@dataclass(frozen=True, slots=True)
class Ledger:
    """One cluster's facts."""

    name: str
    node_network: str
    pool: str
    node_count: int
    api_port: int
    proxy_mode: str = "nftables"
    load_balancer: bool = True
    format: int = _FORMAT
    user_contexts: tuple[UserContext, ...] = ()
    zones: tuple[str, ...] = field(default=())
    # As `kubesvc apiserver --durability`; it holds for the cluster's other files, too.
    durability: str = "disk"

    @property
    def synced(self) -> bool:
        """Whether what the cluster writes must survive a crash of the machine."""
        return self.durability == "disk"

    @property
    def topology(self) -> Topology:
        return Topology(
            name=self.name,
            node_network=IPv4Network(self.node_network),
            pool=IPv4Network(self.pool),
            node_count=self.node_count,
        )


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The files of one cluster below `home()`."""

    name: str

    @property
    def root(self) -> Path:
        return home() / self.name

    @property
    def ledger_file(self) -> Path:
        return self.root / "ledger.json"

    @property
    def processes_file(self) -> Path:
        return self.root / "processes.json"

    @property
    def supervisor_lock(self) -> Path:
        return self.root / "supervisor.lock"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def database(self) -> Path:
        return self.root / "state.db"

    @property
    def tokens_file(self) -> Path:
        return self.root / "pki" / "tokens.json"

    @property
    def kubelet_token_file(self) -> Path:
        return self.root / "pki" / "kubelet.token"

    def kubeconfig(self, user: str) -> Path:
        return self.root / "kubeconfigs" / f"{user}.yaml"

    def log(self, role: str) -> Path:
        return self.root / "logs" / f"{role}.log"

    def node_state(self, node: str) -> Path:
        return self.root / "nodes" / node

    def read(self) -> Ledger | None:
        """The ledger, or None when the cluster does not exist. Raises StateError on a strange file, PermissionError."""
        try:
            text = self.ledger_file.read_text()
        except FileNotFoundError:
            return None
        except PermissionError:
            raise
        except OSError as err:
            raise StateError(f"{self.ledger_file}: {err.strerror}") from err
        return _parse(text, self.ledger_file)

    def write(self, ledger: Ledger) -> None:
        """Replace the ledger atomically; that of a synced cluster is on disk when this returns."""
        write_atomically(self.ledger_file, json.dumps(asdict(ledger), indent=1).encode(), sync=ledger.synced)

    def update(self, **changes: Any) -> Ledger:
        """Read, change and write the ledger; the caller holds the home lock."""
        ledger = self.read()
        if ledger is None:
            raise StateError(f"there is no cluster {self.name!r}")
        changed = replace(ledger, **changes)
        self.write(changed)
        return changed


def clusters() -> list[Ledger]:
    """All clusters of this machine that have a readable ledger, by name. Raises PermissionError."""
    found = []
    for name in cluster_names():
        # One unreadable ledger costs that cluster, not the others.
        with suppress(StateError):
            ledger = StateDirectory(name).read()
            if ledger is not None:
                found.append(ledger)
    return found


def broken_clusters() -> list[str]:
    """The names of clusters whose ledger is there but cannot be read."""
    readable = {ledger.name for ledger in clusters()}
    return [path.parent.name for path in sorted(home().glob("*/ledger.json")) if path.parent.name not in readable]


def cluster_names() -> list[str]:
    """Every name with a state directory, also of clusters whose ledger is lost."""
    try:
        return sorted(entry.name for entry in os.scandir(home()) if entry.is_dir())
    except FileNotFoundError:
        return []


@contextmanager
def locked_home() -> Iterator[None]:
    """Hold the machine-wide lock: choosing networks and making or removing a cluster happen one at a time.

    Raises StateError when the state home cannot be used or somebody holds the lock for a minute.
    """
    deadline = time.monotonic() + _LOCK_DEADLINE
    while True:
        descriptor = _open_lock()
        try:
            _lock_until(descriptor, deadline)
            if _is_current(descriptor):
                yield
                return
        finally:
            os.close(descriptor)


def remove_empty_home() -> None:
    """Remove the state home when nothing but its lock is left in it; the caller holds that lock."""
    directory = home()
    with suppress(OSError):
        if [entry.name for entry in os.scandir(directory)] == [_LOCK]:
            (directory / _LOCK).unlink()
            directory.rmdir()


def _open_lock() -> int:
    directory = home()
    while True:
        try:
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError as err:
            raise _unusable(directory, err) from err
        try:
            return os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the last `down` removed the directory in between
        except OSError as err:
            raise _unusable(directory, err) from err


def _unusable(directory: Path, err: OSError) -> StateError:
    return StateError(f"{directory}: {err.strerror}", "point KUBESVC_HOME at a directory that can be written to")


def _is_current(descriptor: int) -> bool:
    """Whether the locked file is still the one by that name: the last `down` removes it."""
    try:
        return os.stat(home() / _LOCK).st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def write_atomically(path: Path, content: bytes, mode: int = 0o600, *, sync: bool = True) -> None:
    """Write beside and rename over: a reader sees the old or the new whole file, after a crash maybe neither without
    `sync`. Raises StateError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        beside.replace(path)
    except OSError as err:
        beside.unlink(missing_ok=True)
        raise StateError(f"cannot write {path}: {err.strerror}") from err


def _lock_until(descriptor: int, deadline: float) -> None:
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as err:
            if err.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        if time.monotonic() > deadline:
            raise StateError(f"another kubesvc command has held {home() / _LOCK} for {_LOCK_DEADLINE:.0f} s")
        time.sleep(_LOCK_INTERVAL)


def _user_context(*, directories: Sequence[str] = (), **context: Any) -> UserContext:
    return UserContext(directories=tuple(directories), **context)


def _parse(text: str, path: Path) -> Ledger:
    try:
        document = json.loads(text)
        if document.get("format") != _FORMAT:
            raise StateError(f"{path}: format {document.get('format')!r}, want {_FORMAT}; remove it with kubesvc down")
        contexts = tuple(_user_context(**context) for context in document.pop("user_contexts", ()))
        zones = tuple(document.pop("zones", ()))
        return Ledger(**document, user_contexts=contexts, zones=zones)
    except (ValueError, TypeError, AttributeError) as err:
        raise StateError(f"{path}: not a ledger ({err}); remove the cluster with kubesvc down") from err
