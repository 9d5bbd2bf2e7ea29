"""Mounts: the flags by name, and the table of what is mounted."""

import os
from pathlib import Path
from typing import NamedTuple

from kubesvc.linux import libc

# mount(2)
READ_ONLY = 0x1
NO_SUID = 0x2
NO_DEVICES = 0x4
NO_EXEC = 0x8
REMOUNT = 0x20
BIND = 0x1000
RECURSIVE = 0x4000
MNT_PRIVATE = 1 << 18
MNT_SLAVE = 1 << 19
MNT_SHARED = 1 << 20

# umount2(2)
DETACH = 0x2

# mount_setattr(2)
ATTR_READ_ONLY = 0x1


class MountPoint(NamedTuple):
    """One line of a mountinfo table (proc_pid_mountinfo(5))."""

    path: str
    kind: str
    root: str
    source: str


def parse_mountinfo(text: str) -> list[MountPoint]:
    """The table in mount order; octal escapes in paths are undone."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, source = left.split(" "), right.split(" ")
        found.append(MountPoint(_unescape(fields[4]), source[0], _unescape(fields[3]), _unescape(source[1])))
    return found


def mount_points() -> list[MountPoint]:
    """What this process sees mounted."""
    return parse_mountinfo(Path("/proc/self/mountinfo").read_text())


def is_chroot() -> bool:
    """Whether this process's root is only a part of its mount namespace; False where that cannot be found out.

    To enter a mount namespace, even one's own, is to get its whole root: a child does that and compares.
    """
    pid = os.fork()
    if pid == 0:
        differs = False
        try:
            seen = os.stat("/")
            namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            libc.setns(namespace, libc.CLONE_NEWNS)
            whole = os.stat("/")
            differs = (seen.st_dev, seen.st_ino) != (whole.st_dev, whole.st_ino)
        finally:
            os._exit(differs)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def _unescape(word: str) -> str:
    """`\\040` is how the kernel writes a space."""
    if "\\" not in word:
        return word
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(code, character)
    return word
