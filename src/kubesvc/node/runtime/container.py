"""The child's side of a container: from a forked process to the pod's program.

Everything here runs in the child, between fork and exec. It never returns: the child becomes the
program, or reports in one line why it cannot, and exits.
"""

import errno
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from kubesvc.linux import capabilities, libc
from kubesvc.node.runtime import rootfs
from kubesvc.node.runtime.protocol import ContainerSpec

BuiltinImage = Callable[[Sequence[str]], None]

_PR_SET_PDEATHSIG = 1
STARTED_FD = "KUBESVC_STARTED_FD"

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What container engines leave to a container, except MKNOD: there is no device filter here.
DEFAULT_CAPABILITIES = frozenset(
    {
        "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE",
        "NET_RAW", "SYS_CHROOT", "AUDIT_WRITE", "SETFCAP",
    }
)  # fmt: skip
# A pod has a network of its own to administer; the machine's it never gets.
GRANTABLE_CAPABILITIES = frozenset({"NET_ADMIN", "NET_BROADCAST", "SYS_PTRACE", "SYS_NICE"})


def run_container(
    spec: ContainerSpec, *, scratch: str, builtin: BuiltinImage | None, stdio: tuple[int, int, int], errors: int
) -> NoReturn:
    """Become the container's first process; `errors` is the pipe that a failure is written to."""
    try:
        _become_child(stdio, errors)
        libc.unshare(libc.CLONE_NEWNS)
        rootfs.build(spec, scratch)
        if spec.tty:
            _take_terminal()
        _enter_program(spec)
        if builtin is None:
            _execute(spec.argv, spec.env)
    except BaseException as err:
        _report(errors, err)
    _call(builtin, spec, errors)


def run_exec(
    spec: ContainerSpec, argv: Sequence[str], *, mount_namespace: int, stdio: tuple[int, int, int], errors: int,
    tty: socket.socket | None,
) -> NoReturn:  # fmt: skip
    """Become one more process of a running container; with `tty`, send the terminal made there through it."""
    try:
        libc.setns(mount_namespace, libc.CLONE_NEWNS)
        if tty is not None:
            stdio = _open_terminal(tty)
        _become_child(stdio, errors)
        if tty is not None:
            _take_terminal()
        _enter_program(spec)
        _execute(argv, {"TERM": "xterm", **spec.env} if tty is not None else spec.env)
    except BaseException as err:
        _report(errors, err)


def _become_child(stdio: tuple[int, int, int], errors: int) -> None:
    """A session of its own, default signals, standard streams in place, and nothing else open but `errors`."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    copies = [os.dup(fd) for fd in stdio]
    for target, fd in enumerate(copies):
        os.dup2(fd, target, inheritable=True)
    low, high = 3, os.sysconf("SC_OPEN_MAX")
    os.closerange(low, errors)
    os.closerange(errors + 1, high)


def _open_terminal(tty: socket.socket) -> tuple[int, int, int]:
    """A terminal of the container's own devpts; its master goes to whoever asked."""
    master, slave = os.openpty()
    socket.send_fds(tty, [b"tty"], [master])
    return slave, slave, slave


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _enter_program(spec: ContainerSpec) -> None:
    directory = spec.working_dir or "/"
    os.makedirs(directory, exist_ok=True)
    os.chdir(directory)
    os.umask(0o022)
    capabilities.limit_to(DEFAULT_CAPABILITIES | (GRANTABLE_CAPABILITIES & set(spec.capabilities)))
    if spec.user is not None or spec.group is not None or spec.groups:
        os.setgroups(spec.groups)
        os.setgid(spec.group or 0)
        os.setuid(spec.user or 0)
    # After the credentials, because changing them clears it: no program outlives its pod's shim.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _execute(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    path = find_program(argv[0], env.get("PATH", DEFAULT_PATH))
    os.execve(path, list(argv), {"PATH": DEFAULT_PATH, **env})


def find_program(name: str, path: str) -> str:
    """Where `name` is, as a shell would find it; FileNotFoundError in container engines' words when nowhere."""
    if "/" in name:
        return name
    for directory in path.split(":"):
        candidate = f"{directory}/{name}"
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    raise FileNotFoundError(errno.ENOENT, "executable file not found in $PATH", name)


def _report(errors: int, err: BaseException) -> NoReturn:
    if isinstance(err, OSError):
        name = err.filename or ""
        message = f'"{name}": {err.strerror}' if name else str(err)
    else:
        message = "".join(traceback.format_exception_only(err)).strip()
    os.write(errors, message.encode(errors="replace")[:4000])
    os._exit(128)


def _call(builtin: BuiltinImage, spec: ContainerSpec, started: int) -> NoReturn:
    """Run a built-in's function as this process, with its environment, ending on SIGTERM unless it does otherwise.

    The container counts as started once `started` is closed: now, or by a function that has the
    attribute `announces_start`, when it serves; it finds the descriptor's number in STARTED_FD.
    """
    code = 1
    try:
        os.environ.clear()
        os.environ.update({"PATH": DEFAULT_PATH, **spec.env})
        if getattr(builtin, "announces_start", False):
            os.environ[STARTED_FD] = str(started)
        else:
            os.close(started)
        # The first process of a PID namespace has no default actions: unhandled, SIGTERM would be ignored.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(line_buffering=True)
        builtin(spec.argv)
        code = 0
    except SystemExit as err:
        code = err.code if isinstance(err.code, int) else int(err.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
    os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            continue
