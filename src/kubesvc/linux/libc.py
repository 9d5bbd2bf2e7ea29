"""System calls that Python 3.11's `os` lacks, by ctypes on the C library; each raises OSError naming its object."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_PR_SET_NAME = 15

# The generic table numbers system calls added since Linux 5.1 alike on every architecture.
_SYS_PIDFD_GETFD = 438
_SYS_MOUNT_SETATTR = 442
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}


def check(result: int, what: str) -> int:
    """Raise the OSError of the call just made when it returned -1; `what` names the object."""
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return result


def malloc_trim() -> None:
    """Give the C library's free memory back to the kernel; nothing where the library cannot."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


def setns(fd: int, kind: int = 0) -> None:
    """Move the calling thread into the namespace(s) of `fd`: an open nsfs file, or a pidfd with CLONE_ flags."""
    check(_libc.setns(fd, kind), f"setns to file descriptor {fd}")


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own for each CLONE_NEW* bit."""
    check(_libc.unshare(flags), f"unshare {flags:#x}")


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode() if options else None
    )
    check(result, f"mount {kind or source} on {target}")


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    check(_libc.umount2(target.encode(), flags), f"unmount {target}")


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    number = _SYS_PIVOT_ROOT[platform.machine()]
    check(_libc.syscall(number, new_root.encode(), put_old.encode()), f"pivot_root to {new_root}")


def pidfd_getfd(pidfd: int, number: int) -> int:
    """pidfd_getfd(2), Linux >= 5.6: a copy of another process's descriptor `number`."""
    return check(_libc.syscall(_SYS_PIDFD_GETFD, pidfd, number, 0), f"copy descriptor {number} of another process")


class _MountAttributes(ctypes.Structure):
    _fields_ = [
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


def mount_setattr(target: str, *, attributes: int, propagation: int = 0, recursive: bool = False) -> None:
    """mount_setattr(2), Linux >= 5.12: set MOUNT_ATTR_* bits on a mount, or on the whole tree below it."""
    at_fdcwd, at_recursive = -100, 0x8000
    attr = _MountAttributes(attributes, 0, propagation, 0)
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        at_fdcwd,
        target.encode(),
        at_recursive if recursive else 0,
        ctypes.byref(attr),
        ctypes.sizeof(attr),
    )
    check(result, f"set attributes of mount {target}")


def prctl(option: int, value: int | bytes = 0) -> int:
    """prctl(2) with one argument."""
    argument = ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_ulong(value)
    return check(_libc.prctl(option, argument, 0, 0, 0), f"prctl {option}")


def name_process(name: str) -> None:
    """Give this process the name that ps(1) shows; the kernel keeps 15 bytes of it."""
    prctl(_PR_SET_NAME, name.encode()[:15])


@contextmanager
def visiting_netns(fd: int) -> Iterator[None]:
    """Run the body with this thread in the network namespace that `fd` is open on; no `await` inside."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(fd, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


def capset(*, effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) on the calling thread with 64-bit masks (version 3 of the interface)."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    words: list[int] = []
    for shift in (0, 32):
        words += [(mask >> shift) & 0xFFFFFFFF for mask in (effective, permitted, inheritable)]
    check(_libc.capset(header, (ctypes.c_uint32 * 6)(*words)), "capset")


def inotify_init() -> int:
    """A non-blocking, close-on-exec inotify descriptor."""
    return check(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """Watch `path`; returns the watch descriptor."""
    return check(_libc.inotify_add_watch(fd, path.encode(), mask), path)


def getsockopt(fd: int, level: int, option: int, asked: bytes) -> bytes:
    """getsockopt(2) for options whose value is a question, too: `asked` is replaced by an answer as long."""
    value = ctypes.create_string_buffer(asked, len(asked))
    size = ctypes.c_uint32(len(asked))
    check(_libc.getsockopt(fd, level, option, value, ctypes.byref(size)), f"option {option} of a socket")
    return value.raw[: size.value]
