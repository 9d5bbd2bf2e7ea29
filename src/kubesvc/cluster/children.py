"""Fork a role of the cluster: into its namespace, with its log, without anything of the parent's."""

import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubesvc import observe
from kubesvc.linux import libc, netns

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1)


@dataclass(frozen=True, slots=True)
class Role:
    """One long-running part of a cluster.

    `main` is the child's whole life; it runs inside `namespace` ("": the host's). `fingerprint` changes when
    the role has to be started anew to follow the ledger. `keeps` are descriptors of the parent that the child
    goes on using.
    """

    name: str
    namespace: str
    main: Callable[[], None]
    fingerprint: str = ""
    keeps: tuple[int, ...] = ()


def start(role: Role, *, log: Path, directory: Path, close: Sequence[int]) -> int:
    """Fork the role and return its pid; `close` are the parent's own descriptors."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        _leave_parent(log, directory, [fd for fd in close if fd not in role.keeps])
        _run(role)
        status = 0
    except BaseException as err:
        _log_end(role.name, err)
    finally:
        sys.stderr.flush()
        os._exit(status)


def _leave_parent(log: Path, directory: Path, close: Sequence[int]) -> None:
    signal.set_wakeup_fd(-1)
    for signum in _HANDLED:
        signal.signal(signum, signal.SIG_DFL)
    os.setsid()
    # The working directory marks the process as this cluster's, for `down`.
    os.chdir(directory)
    for descriptor in close:
        os.close(descriptor)
    redirect_output(log)


def _run(role: Role) -> None:
    libc.name_process(f"ksv-{role.name}")
    if role.namespace:
        descriptor = netns.open_netns(role.namespace)
        libc.setns(descriptor, libc.CLONE_NEWNET)
        os.close(descriptor)
    observe.configure(role.name, os.environ.get("KUBESVC_LOG_LEVEL", "info"))
    role.main()


def _log_end(role: str, err: BaseException) -> None:
    from kubesvc.cluster.troubles import log_end

    log_end(role, err)


def redirect_output(log: Path) -> None:
    """Send stdout and stderr to the end of `log`, and read from nowhere."""
    log.parent.mkdir(parents=True, exist_ok=True)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for descriptor in (output, null):
        if descriptor > 2:
            os.close(descriptor)
    sys.stdout = sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115


def freeze() -> None:
    """Move everything imported out of the collector's sight, so that forks go on sharing its pages."""
    gc.collect()
    gc.freeze()


def run_in_child(function: Callable[[], None]) -> int:
    """Fork a short-lived child that calls `function` and exits 0; its traceback goes to stderr. Returns the pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid
