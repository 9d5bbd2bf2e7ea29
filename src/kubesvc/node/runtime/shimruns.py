"""The runs of a pod's containers inside its shim: fork, pipes, logs, exit codes, commands beside them."""

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from kubesvc.linux import libc
from kubesvc.node.runtime import protocol as p
from kubesvc.node.runtime.container import BuiltinImage, run_container, run_exec
from kubesvc.node.runtime.logfile import LogFile

Answer = Callable[[p.Message], None]
_KEPT_RUNS = 2


class Run:
    """One run of one container: its process, its output, whoever is attached."""

    def __init__(self, spec: p.ContainerSpec, pid: int, stdin: int | None) -> None:
        self.spec = spec
        self.stdin = stdin
        self.state = p.ContainerState(spec.name, spec.attempt, spec.id, pid=pid, started_at=time.time())
        self.streams: dict[int, str] = {}
        self._log = LogFile(spec.log_path)
        self._attached: list[dict[str, int]] = []

    def signal(self, number: int) -> None:
        """Signal the first process; SIGKILL takes the whole PID namespace with it."""
        with suppress(ProcessLookupError):
            os.kill(self.state.pid, number)

    def attach(self, stdout: int, stderr: int) -> None:
        """Copy the output from now on to these descriptors, which are then owned here."""
        for fd in (stdout, stderr):
            os.set_blocking(fd, False)
        self._attached.append({"stdout": stdout, "stderr": stderr})

    def pump(self, fd: int) -> bool:
        """Move what can be read into the log; False at the end of the stream."""
        stream = self.streams[fd]
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return True
        except OSError:  # a terminal whose other side is closed
            data = b""
        if not data:
            self._log.end(stream)
            return False
        self._log.write(stream, data)
        self._copy(stream, data)
        return True

    def close(self) -> None:
        """Nothing more is to come."""
        self._log.close()
        self.close_stdin()
        for pair in self._attached:
            for fd in pair.values():
                os.close(fd)
        self._attached.clear()

    def close_stdin(self) -> None:
        """Let go of this side of the container's input."""
        if self.stdin is not None:
            os.close(self.stdin)
            self.stdin = None

    def _copy(self, stream: str, data: bytes) -> None:
        for pair in tuple(self._attached):
            try:
                os.write(pair[stream], data)
            except BlockingIOError:
                continue  # a reader that stands still misses output, and does not stop the container
            except OSError:
                self._attached.remove(pair)
                for fd in pair.values():
                    os.close(fd)


class Runs:
    """All runs of a pod, and the commands executed beside them."""

    def __init__(
        self,
        sandbox: p.SandboxSpec,
        builtins: Mapping[str, BuiltinImage],
        watch: Callable[[int, Callable[[], None]], None],
        unwatch: Callable[[int], None],
        broadcast: Callable[[p.Message], None],
    ) -> None:
        self._sandbox = sandbox
        self._builtins = builtins
        self._watch = watch
        self._unwatch = unwatch
        self._broadcast = broadcast
        self._history: dict[str, list[Run]] = {}
        self._by_pid: dict[int, Run] = {}
        self._failed: dict[int, tuple[str, Callable[[], None]]] = {}
        self._execs: dict[int, tuple[int, Answer]] = {}
        self._starting: dict[int, Callable[[], None]] = {}

    def states(self) -> tuple[p.ContainerState, ...]:
        return tuple(run.state for runs in self._history.values() for run in runs)

    def running(self, container: str) -> Run:
        """The current run; LookupError when the container does not run."""
        runs = self._history.get(container)
        if not runs or not runs[-1].state.running:
            raise LookupError(
                f"container {container} of pod {self._sandbox.namespace}/{self._sandbox.name} is not running"
            )
        return runs[-1]

    def start(self, fd: int, answer: Answer, request: int) -> None:
        """Fork the container specified in the memory file `fd`; answer when its program runs, or cannot."""
        spec = p.decode_container(_read_all(fd))
        builtin = self._builtins[spec.builtin] if spec.builtin else None
        parent, child = _open_streams(spec)
        errors_read, errors_write = os.pipe()
        pid = self._fork_into_new_pid_namespace(spec, builtin, child, errors_write)
        os.close(errors_write)
        for each in set(child):
            os.close(each)
        run = Run(spec, pid, parent.pop("stdin", None))
        self._history.setdefault(spec.name, []).append(run)
        del self._history[spec.name][:-_KEPT_RUNS]
        self._by_pid[pid] = run
        for stream, each in parent.items():
            os.set_blocking(each, False)
            run.streams[each] = stream
            self._watch(each, lambda each=each: self._pump(run, each))  # type: ignore[misc]

        def started(error: str) -> None:
            if error:
                # Answered after the news of its end, so that nobody believes it might still run.
                self._failed[pid] = (error, lambda: answer(p.Failed(request, error)))
            else:
                answer(p.Done(request, run.state))

        self._await_program(pid, errors_read, started)

    def _fork_into_new_pid_namespace(
        self, spec: p.ContainerSpec, builtin: BuiltinImage | None, stdio: tuple[int, int, int], errors: int
    ) -> int:
        own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc.unshare(libc.CLONE_NEWPID)
            try:
                pid = os.fork()
                if pid == 0:
                    scratch = f"{self._sandbox.directory}/root"
                    run_container(spec, scratch=scratch, builtin=builtin, stdio=stdio, errors=errors)
                return pid
            finally:
                libc.setns(own, libc.CLONE_NEWPID)
        finally:
            os.close(own)

    def execute(self, request: p.Exec, fds: list[int], answer: Answer) -> None:
        """Fork a command beside a container's processes; answers like `start`, and ExecExited at its end."""
        run = self.running(request.container)
        errors_read, errors_write = os.pipe()
        pid = self._fork_beside(run, request, fds, errors_write)
        os.close(errors_write)

        def started(error: str) -> None:
            if error:
                self._execs.pop(pid, None)
                answer(p.Failed(request.id, error))
            else:
                answer(p.Done(request.id))

        self._execs[pid] = (request.id, answer)
        self._await_program(pid, errors_read, started)

    def _await_program(self, pid: int, errors: int, started: Callable[[str], None]) -> None:
        """Call `started` once the pipe `errors` says why the program did not start, or closes because it did."""

        def finish() -> None:
            del self._starting[pid]
            error = os.read(errors, 4096).decode(errors="replace")
            self._unwatch(errors)
            os.close(errors)
            started(error)

        self._starting[pid] = finish
        self._watch(errors, finish)

    def _fork_beside(self, run: Run, request: p.Exec, fds: list[int], errors: int) -> int:
        own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        target = os.open(f"/proc/{run.state.pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        mount = os.open(f"/proc/{run.state.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc.setns(target, libc.CLONE_NEWPID)
            try:
                pid = os.fork()
                if pid == 0:
                    tty = socket.socket(fileno=fds[0]) if request.tty else None
                    stdio = (0, 0, 0) if request.tty else (fds[0], fds[1], fds[2])
                    run_exec(run.spec, request.argv, mount_namespace=mount, stdio=stdio, errors=errors, tty=tty)
                return pid
            finally:
                libc.setns(own, libc.CLONE_NEWPID)
        finally:
            for fd in (own, target, mount):
                os.close(fd)

    def kill_exec(self, identity: int) -> None:
        for pid, (request, _) in self._execs.items():
            if request == identity:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL every running container, and wait for their ends."""
        for pid in (*self._by_pid, *self._execs):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in tuple(self._by_pid):
            with suppress(ChildProcessError):
                self._ended(pid, os.waitpid(pid, 0)[1])

    def reap(self) -> None:
        """Take note of every child that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        code, number = p.exit_status(status)
        if pid in self._starting:
            self._starting[pid]()
        if pid in self._execs:
            request, answer = self._execs.pop(pid)
            answer(p.ExecExited(request, code))
            return
        run = self._by_pid.pop(pid, None)
        if run is None:
            return
        for fd in tuple(run.streams):
            while fd in run.streams and _readable(fd):
                self._pump(run, fd)
            if fd in run.streams:
                self._close_stream(run, fd)
        error, tell = self._failed.pop(pid, ("", lambda: None))
        run.state = msgspec.structs.replace(
            run.state, finished_at=time.time(), exit_code=code, signal=number, error=error
        )
        run.close()
        self._broadcast(p.Exited(run.state))
        tell()

    def _pump(self, run: Run, fd: int) -> None:
        if not run.pump(fd):
            self._close_stream(run, fd)

    def _close_stream(self, run: Run, fd: int) -> None:
        del run.streams[fd]
        self._unwatch(fd)
        if fd != run.stdin:
            os.close(fd)


def _open_streams(spec: p.ContainerSpec) -> tuple[dict[str, int], tuple[int, int, int]]:
    """(our ends by stream name, the child's standard descriptors)."""
    if spec.tty:
        master, slave = os.openpty()
        ours = {"stdout": master}
        if spec.stdin:
            ours["stdin"] = os.dup(master)
        return ours, (slave, slave, slave)
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    ours = {"stdout": out_read, "stderr": err_read}
    if spec.stdin:
        in_read, ours["stdin"] = os.pipe()
    else:
        in_read = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    return ours, (in_read, out_write, err_write)


def _readable(fd: int) -> bool:
    import select

    return bool(select.select([fd], [], [], 0)[0])


def _read_all(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    return os.pread(fd, size, 0)
