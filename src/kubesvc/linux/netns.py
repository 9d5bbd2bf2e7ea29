"""Network namespaces by name, in the same place and form as `ip netns` keeps them.

A named namespace is an nsfs bind mount on `/run/netns/<name>`; it lives until it is deleted, whether
or not a process is in it.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from kubesvc.linux import libc
from kubesvc.linux.mounts import BIND, DETACH, MNT_SHARED, RECURSIVE
from kubesvc.linux.netlink import RouteSocket

T = TypeVar("T")

DIRECTORY = Path("/run/netns")


def create(name: str) -> None:
    """Make the namespace `name` with its loopback up; FileExistsError when the name is taken."""
    _prepare_directory()
    target = DIRECTORY / name
    os.close(os.open(target, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o444))
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc.unshare(libc.CLONE_NEWNET)
        try:
            libc.mount("/proc/thread-self/ns/net", str(target), "none", BIND)
            with RouteSocket() as route:
                route.link_set("lo", up=True)
        finally:
            libc.setns(home, libc.CLONE_NEWNET)
    except BaseException:
        delete(name)
        raise
    finally:
        os.close(home)


def delete(name: str) -> None:
    """Remove the name; the namespace itself goes when its last process and socket do. Idempotent."""
    target = str(DIRECTORY / name)
    try:
        libc.umount(target, DETACH)
    except OSError as err:
        if err.errno not in (errno.ENOENT, errno.EINVAL):
            raise
    with suppress(FileNotFoundError):
        os.unlink(target)


def exists(name: str) -> bool:
    """Whether `name` is a namespace; a stale plain file of that name is not."""
    return _is_namespace(DIRECTORY / name)


def names() -> list[str]:
    """All named namespaces, sorted."""
    try:
        entries = sorted(os.listdir(DIRECTORY))
    except FileNotFoundError:
        return []
    return [entry for entry in entries if _is_namespace(DIRECTORY / entry)]


def open_netns(which: str | int) -> int:
    """A file descriptor on a namespace: by its name, or by a process id that lives in it. The caller closes it."""
    path = f"/proc/{which}/ns/net" if isinstance(which, int) else DIRECTORY / which
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def entered(which: int | str) -> Iterator[None]:
    """Run the body with this thread in the namespace (a descriptor, or a name); no `await` inside."""
    fd = open_netns(which) if isinstance(which, str) else which
    try:
        with libc.visiting_netns(fd):
            yield
    finally:
        if isinstance(which, str):
            os.close(fd)


@contextmanager
def scratch() -> Iterator[None]:
    """Run the body with this thread in a new, empty namespace that is gone afterwards; no `await` inside."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc.unshare(libc.CLONE_NEWNET)
        try:
            yield
        finally:
            libc.setns(home, libc.CLONE_NEWNET)
    finally:
        os.close(home)


def run_in(which: int | str, function: Callable[[], T]) -> T:
    """The value of `function()` called inside the namespace."""
    with entered(which):
        return function()


def _is_namespace(path: Path) -> bool:
    """A mounted name lies on nsfs, so on another device than its directory."""
    try:
        return os.stat(path).st_dev != os.stat(path.parent).st_dev
    except OSError:
        return False


def _prepare_directory() -> None:
    """Make the directory a shared mount, as `ip netns` does, so that names show in every mount namespace."""
    DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
    directory = str(DIRECTORY)
    try:
        libc.mount("", directory, "none", MNT_SHARED | RECURSIVE)
    except OSError as err:
        if err.errno != errno.EINVAL:
            raise
        libc.mount(directory, directory, "none", BIND | RECURSIVE)
        libc.mount("", directory, "none", MNT_SHARED | RECURSIVE)
