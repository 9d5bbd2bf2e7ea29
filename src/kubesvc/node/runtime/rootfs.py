"""A container's file system: the host's programs, private writes, and nothing of the host's secrets.

The root is an overlay: the host's root below, a bounded tmpfs above, so that a pod may write anywhere
and no write outlives it. Where the root cannot be overlaid whole, its directories are, one by one. All
other mounts are made after pivoting, with the old root still at `_OLD`: a symbolic link in a target is
then resolved inside the container and can never lead out of it.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from kubesvc.linux import libc, mounts
from kubesvc.linux.mounts import BIND, DETACH, NO_DEVICES, NO_EXEC, NO_SUID, READ_ONLY, RECURSIVE, MountPoint
from kubesvc.node.runtime.protocol import ContainerSpec

WRITABLE_BYTES = 512 << 20
_OLD = "/tmp/.host"
_PRIVATE = ("/tmp", "/var/tmp", "/run", "/root", "/home")
_APART = ("/proc", "/sys", "/dev", "/boot", "/media", "/mnt", "/snap", "/lost+found", *_PRIVATE)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_READ_ONLY_PROC = ("bus", "fs", "irq", "sys", "sysrq-trigger", "acpi", "asound", "scsi")
_EMPTY_PROC = ("kcore", "keys", "timer_list", "latency_stats", "sched_debug", "kmsg")


def build(spec: ContainerSpec, scratch: str) -> None:
    """Make the calling process's root the container's; it has its own mount and PID namespaces already.

    `scratch` is an empty host directory to mount on. OSError names the mount that failed.
    """
    libc.mount("", "/", "none", RECURSIVE | mounts.MNT_PRIVATE)
    table = mounts.mount_points()
    root = _mount_root(scratch)
    for point in host_submounts(table, (*spec.hidden, scratch)):
        _bind_host_mount(point.path, root)
    for path in _PRIVATE:
        if os.path.isdir(root + path) and not os.path.islink(root + path):
            _tmpfs(root + path, "mode=1777" if path.endswith("tmp") else "mode=755")
    os.mkdir(root + _OLD, 0o700)
    libc.pivot_root(root, root + _OLD)
    os.chdir("/")
    _mount_kernel_file_systems(tty=spec.tty)
    _hide(spec.hidden)
    _keep_code(spec)
    for mount in sorted(spec.mounts, key=lambda mount: mount.target.count("/")):
        bind(_OLD + mount.source, mount.target, read_only=mount.read_only)
    libc.umount(_OLD, DETACH)
    os.rmdir(_OLD)
    if spec.read_only_root:
        # Last, because the mounts above make the directories they need.
        for point in mounts.mount_points():
            if point.path == "/" or point.kind == "overlay":
                libc.mount("", point.path, "none", BIND | mounts.REMOUNT | READ_ONLY | NO_DEVICES)


def host_submounts(table: Iterable[MountPoint], hidden: Sequence[str]) -> list[MountPoint]:
    """The host's own mounts below `/` that hold programs or data a pod should see, such as a separate `/usr`."""
    return [point for point in table if point.path != "/" and not _below(point.path, (*_APART, *hidden))]


def _below(path: str, directories: Iterable[str]) -> bool:
    return any(path == directory or path.startswith(directory.rstrip("/") + "/") for directory in directories)


def _mount_root(scratch: str) -> str:
    _tmpfs(scratch, f"mode=755,size={WRITABLE_BYTES}")
    root = f"{scratch}/root"
    for name in ("upper", "work", "root"):
        os.mkdir(f"{scratch}/{name}", 0o755)
    try:
        _overlay("/", root, f"{scratch}/upper", f"{scratch}/work")
    except OSError:
        _mount_pieces(scratch, root)
    return root


def _mount_pieces(scratch: str, root: str) -> None:
    """The root directory by directory, where it cannot be had whole (in a user namespace its mounts are locked).

    A directory that cannot be overlaid either is bound read-only.
    """
    os.mkdir(f"{scratch}/pieces")
    _tmpfs(root, "mode=755,size=1m")
    for entry in os.scandir("/"):
        target = f"{root}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
        elif entry.is_dir():
            os.mkdir(target, 0o755)
            if entry.path not in _APART:
                _mount_piece(scratch, entry, target)


def _mount_piece(scratch: str, entry: os.DirEntry[str], target: str) -> None:
    upper, work = f"{scratch}/pieces/{entry.name}.upper", f"{scratch}/pieces/{entry.name}.work"
    os.mkdir(upper)
    os.mkdir(work)
    try:
        _overlay(entry.path, target, upper, work, ",userxattr")
    except OSError:
        libc.mount(entry.path, target, "none", BIND | RECURSIVE)
        libc.mount_setattr(target, attributes=mounts.ATTR_READ_ONLY, recursive=True)


def _overlay(lower: str, target: str, upper: str, work: str, options: str = "") -> None:
    libc.mount("overlay", target, "overlay", NO_DEVICES, f"lowerdir={lower},upperdir={upper},workdir={work}{options}")


def _bind_host_mount(path: str, root: str) -> None:
    """A mount of the host that cannot be shown (a dead network mount, say) is left out."""
    with suppress(OSError):
        libc.mount(path, root + path, "none", BIND)
        libc.mount("", root + path, "none", BIND | mounts.REMOUNT | READ_ONLY | NO_DEVICES)


def _mount_kernel_file_systems(*, tty: bool) -> None:
    libc.mount("proc", "/proc", "proc", NO_SUID | NO_DEVICES | NO_EXEC)
    for name in _READ_ONLY_PROC:
        if os.path.exists(f"/proc/{name}"):
            libc.mount(f"/proc/{name}", f"/proc/{name}", "none", BIND | RECURSIVE)
            libc.mount("", f"/proc/{name}", "none", BIND | mounts.REMOUNT | READ_ONLY | NO_SUID | NO_DEVICES | NO_EXEC)
    for name in _EMPTY_PROC:
        if os.path.exists(f"/proc/{name}"):
            libc.mount(f"{_OLD}/dev/null", f"/proc/{name}", "none", BIND)
    # Where sysfs is refused (a user namespace that does not own the network one) the container goes without.
    with suppress(OSError):
        libc.mount("sysfs", "/sys", "sysfs", NO_SUID | NO_DEVICES | NO_EXEC | READ_ONLY)
    _mount_dev(tty=tty)


def _mount_dev(*, tty: bool) -> None:
    _tmpfs("/dev", "mode=755,size=64k", flags=NO_SUID | NO_EXEC)
    for name in _DEVICES:
        Path(f"/dev/{name}").touch()
        libc.mount(f"{_OLD}/dev/{name}", f"/dev/{name}", "none", BIND)
    os.mkdir("/dev/pts")
    libc.mount("devpts", "/dev/pts", "devpts", NO_SUID | NO_EXEC, "newinstance,ptmxmode=0666,mode=0620")
    os.symlink("pts/ptmx", "/dev/ptmx")
    os.mkdir("/dev/mqueue")
    with suppress(OSError):
        libc.mount("mqueue", "/dev/mqueue", "mqueue", NO_SUID | NO_DEVICES | NO_EXEC)
    os.mkdir("/dev/shm")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"/dev/{name}")
    if tty:
        Path("/dev/console").touch()


def _hide(directories: Iterable[str]) -> None:
    for directory in directories:
        if os.path.isdir(directory):
            _tmpfs(directory, "mode=755,size=4k", flags=READ_ONLY)


def _keep_code(spec: ContainerSpec) -> None:
    """A built-in imports lazily, so the interpreter and this package stay readable wherever they are installed."""
    import sys

    if not spec.builtin:
        return
    package = str(Path(__file__).parents[2])
    for directory in sorted({sys.prefix, sys.base_prefix, package}):
        if not os.path.exists(directory) and os.path.isdir(_OLD + directory):
            bind(_OLD + directory, directory, read_only=True)


def bind(source: str, target: str, *, read_only: bool) -> None:
    """Bind `source`, a file or a directory, onto `target`, which is made when it is not there."""
    directory = os.path.isdir(source)
    _make_target(target, directory=directory)
    libc.mount(source, target, "none", BIND | (RECURSIVE if directory else 0))
    if read_only:
        libc.mount("", target, "none", BIND | mounts.REMOUNT | READ_ONLY)


def _make_target(target: str, *, directory: bool) -> None:
    if directory:
        os.makedirs(target, exist_ok=True)
        return
    if os.path.islink(target) and not os.path.exists(target):
        os.unlink(target)
    if not os.path.exists(target):
        os.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
        Path(target).touch()


def _tmpfs(target: str, options: str, *, flags: int = 0) -> None:
    libc.mount("tmpfs", target, "tmpfs", flags | NO_SUID | NO_DEVICES, options)
