"""Taking everything of a node away when no agent is there to do it."""

import os
import select
import shutil
from contextlib import suppress
from pathlib import Path

from kubesvc.node.runtime.sandboxdir import is_alive, kill_shim, recall_shim

_PATIENCE_MS = 10_000


def purge(state_dir: Path) -> int:
    """Kill every pod recorded below `state_dir`, wait for their ends, remove the directory; the number killed.

    Idempotent. A pod's namespaces, links and mounts go with its shim.
    """
    root = state_dir / "pods"
    killed = 0
    for directory in sorted(root.iterdir()) if root.is_dir() else ():
        record = recall_shim(directory)
        if record is None or not is_alive(record):
            continue
        with suppress(ProcessLookupError):
            fd = os.pidfd_open(record.pid)
            kill_shim(record)
            _wait(fd)
            os.close(fd)
            killed += 1
    shutil.rmtree(state_dir, ignore_errors=True)
    return killed


def _wait(pidfd: int) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(_PATIENCE_MS)
