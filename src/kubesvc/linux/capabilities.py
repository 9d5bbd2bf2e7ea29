"""Capabilities by name, and giving them up for good (capabilities(7))."""

import errno
from pathlib import Path

from kubesvc.linux import libc

NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip

_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24


def limit_to(names: frozenset[str]) -> None:
    """Keep only these capabilities, for this process and whatever it executes; those never held stay absent.

    The bounding set loses the others too, so that no set-uid program gives them back.
    """
    permitted = _permitted()
    kept = 0
    for number in range(64):
        try:
            held = libc.prctl(_PR_CAPBSET_READ, number)
        except OSError as err:
            if err.errno == errno.EINVAL:
                break
            raise
        if number < len(NAMES) and NAMES[number] in names:
            kept |= (held << number) & permitted
        elif held:
            libc.prctl(_PR_CAPBSET_DROP, number)
    libc.capset(effective=kept, permitted=kept, inheritable=0)


def _permitted() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0
