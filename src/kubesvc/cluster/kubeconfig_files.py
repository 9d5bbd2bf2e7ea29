"""A person's kubeconfig on disk: found by kubectl's rules, locked as kubectl locks it, written whole.

Under sudo the invoking user's home is meant, and what is made there belongs to that user.
"""

import errno
import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kubesvc.cluster.kubeconfig import (
    LISTS,
    Document,
    Entry,
    config_files,
    file_to_write,
    is_empty,
    merge_entry,
    new_document,
    remove_entry,
)
from kubesvc.cluster.ledger import UserContext

_LOCK_DEADLINE = 10.0
_LOCK_INTERVAL = 0.05


class KubeconfigError(Exception):
    """A kubeconfig that cannot be read, parsed, locked or written; nothing was changed."""


def user_file(explicit: str = "") -> Path:
    """The file in which kubectl, run by the invoking user, would put a new context."""
    user = _invoking_user()
    base = Path(user.pw_dir) if user is not None else Path(os.environ.get("HOME") or "/root")
    return file_to_write(config_files(explicit, os.environ.get("KUBECONFIG", ""), base), Path.exists)


def check_file(path: Path) -> None:
    """Raise KubeconfigError now if `install` would, so that nothing is started in vain; changes nothing."""
    with _translated(path):
        directory = next(part for part in path.absolute().parents if part.exists())
        if directory == path.absolute().parent:
            with _locked(path):
                _load(path)
                _check_writable(path.resolve().parent)
        else:
            _check_writable(directory)


def install(path: Path, entry: Entry) -> UserContext:
    """Merge the entry into the file and make it current. Raises KubeconfigError."""
    with _translated(path):
        made = _make_directory(path.parent)
        with _locked(path):
            existed = path.exists()
            document = _load(path)
            previous = str(document.get("current-context") or "")
            _save(path, merge_entry(document, entry))
    return UserContext(
        path=str(path.absolute()),
        context=entry.name,
        previous="" if previous == entry.name else previous,
        created=not existed,
        directories=tuple(map(str, made)),
    )


def uninstall(context: UserContext) -> None:
    """Take the entry out again and restore the context that was current; files and folders we made go when empty."""
    path = Path(context.path)
    with _translated(path):
        if not path.exists():
            return
        with _locked(path):
            before = _load(path)
            document = remove_entry(before, context.context, restore=context.previous)
            if context.created and is_empty(document):
                path.unlink()
            elif document != before:
                _save(path, document)
        for directory in reversed(context.directories):
            with suppress(OSError):
                os.rmdir(directory)


def write_private(path: Path, entry: Entry) -> None:
    """Write a kubeconfig with this entry alone; JSON is YAML, and needs no import."""
    import json

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(path, json.dumps(new_document(entry), indent=1).encode(), owner=None)


def _invoking_user() -> pwd.struct_passwd | None:
    name = os.environ.get("SUDO_USER", "")
    if not name or name == "root" or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _check_writable(directory: Path) -> None:
    # Asked of the file system itself: for root, permissions tell nothing of read-only mounts.
    probe = directory / f".kubesvc.{os.getpid()}"
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    probe.unlink()


def _make_directory(directory: Path) -> list[Path]:
    """Make what is missing of it; returns that, outermost first."""
    directory = directory.absolute()
    missing = [part for part in (directory, *directory.parents) if not part.exists()][::-1]
    user = _invoking_user()
    for part in missing:
        part.mkdir(mode=0o700)
        if user is not None:
            os.chown(part, user.pw_uid, user.pw_gid)
    return missing


def _load(path: Path) -> Document:
    import yaml

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        document: Any = yaml.load(content.decode(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        raise KubeconfigError(f"kubeconfig {path} is not valid YAML, so it was left alone: {err}") from err
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise KubeconfigError(f"kubeconfig {path} holds no mapping, so it was left alone")
    for section in LISTS:
        entries = document.get(section) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise KubeconfigError(f"kubeconfig {path}: {section} is no list of mappings, so it was left alone")
    return document


def _save(path: Path, document: Document) -> None:
    import yaml

    # A symbolic link stays one: the file behind it is replaced.
    target = path.resolve()
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=False)
    user = _invoking_user()
    owner = (user.pw_uid, user.pw_gid) if user is not None else None
    if target.exists():
        status = target.stat()
        owner = (status.st_uid, status.st_gid)
    _write(target, text.encode(), owner=owner)


def _write(path: Path, content: bytes, *, owner: tuple[int, int] | None) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if owner is not None and os.geteuid() == 0:
                os.fchown(file.fileno(), *owner)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """kubectl's own lock: a file beside the config, made exclusively, removed afterwards."""
    lock = Path(f"{path}.lock")
    deadline = time.monotonic() + _LOCK_DEADLINE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            break
        except FileExistsError:
            if time.monotonic() > deadline:
                raise KubeconfigError(
                    f"kubeconfig {path} has been locked for {_LOCK_DEADLINE:.0f} s; if nothing uses it, remove {lock}"
                ) from None
        time.sleep(_LOCK_INTERVAL)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        reason = os.strerror(err.errno) if err.errno else str(err)
        hint = " (choose another with --kubeconfig)" if err.errno in (errno.EACCES, errno.EROFS, errno.EPERM) else ""
        raise KubeconfigError(f"kubeconfig {path}: {reason}{hint}") from err
