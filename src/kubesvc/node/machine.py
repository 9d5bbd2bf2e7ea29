"""What this machine says of itself, for the Node's status."""

import os
import platform
from pathlib import Path

from kubesvc import __version__
from kubesvc.node.nodeobject import Machine

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}


def describe_machine(node_name: str) -> Machine:
    """Read /proc and /etc; what is missing is left empty."""
    uname = platform.uname()
    return Machine(
        cpus=os.cpu_count() or 1,
        memory_kib=_memory_kib(),
        architecture=_ARCHITECTURES.get(uname.machine, uname.machine),
        kernel=uname.release,
        os_image=_os_image(),
        # Virtual nodes share one machine and yet must differ.
        machine_id=f"{_first_line('/etc/machine-id')}-{node_name}".lstrip("-"),
        boot_id=_first_line("/proc/sys/kernel/random/boot_id"),
        version=__version__,
    )


def _memory_kib() -> int:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1])
    return 0


def _os_image() -> str:
    for line in _read("/etc/os-release").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return "Linux"


def _first_line(path: str) -> str:
    return _read(path).partition("\n")[0].strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
