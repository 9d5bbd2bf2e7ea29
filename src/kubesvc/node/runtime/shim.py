"""A pod's shim: the small process that is the parent of everything in one pod.

It holds the pod's namespaces, starts containers and commands in them, writes their logs, notes how
they ended, and tells whichever agent is connected. It depends on no other process: agents come and
go, the pod stays. When the shim itself dies, all of the pod dies with it, and the namespaces too, so
nothing has to be cleaned up after it.
"""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NoReturn

from kubesvc.linux import libc
from kubesvc.linux.mounts import DETACH, MNT_SLAVE, NO_DEVICES, NO_SUID, RECURSIVE
from kubesvc.linux.netlink import RouteSocket
from kubesvc.node.runtime import protocol as p
from kubesvc.node.runtime.container import BuiltinImage
from kubesvc.node.runtime.sandboxdir import bind_socket, remember_shim
from kubesvc.node.runtime.shimruns import Run, Runs
from kubesvc.node.runtime.wiring import open_low_ports, unwire_pod, wire_pod


def run_shim(spec: p.SandboxSpec, builtins: Mapping[str, BuiltinImage], report: int) -> NoReturn:
    """Make the sandbox, report on the pipe `report`, and serve until stopped. Runs in a process of its own."""
    code = 1
    try:
        shim = Shim(spec, builtins)
        try:
            shim.set_up()
        except Exception as err:
            os.write(report, p.encode(p.Failed(0, str(err))))
        else:
            os.write(report, p.encode(p.Ready(os.getpid())))
            os.close(report)
            shim.serve()
            code = 0
        shim.tear_down()
    finally:
        os._exit(code)


class Shim:
    """One sandbox, its listening socket, and the connections of agents."""

    def __init__(self, spec: p.SandboxSpec, builtins: Mapping[str, BuiltinImage]) -> None:
        self._spec = spec
        self._created_at = time.time()
        self._selector = selectors.DefaultSelector()
        self._connections: set[socket.socket] = set()
        self._node = RouteSocket()
        self._stopped = False
        self._runs = Runs(spec, builtins, self._watch, self._unwatch, self._broadcast)

    def set_up(self) -> None:
        """Namespaces, network, socket; OSError or NetlinkError says what failed."""
        os.setsid()
        # The working directory tells, without any record, which cluster a shim belongs to.
        os.chdir(self._spec.directory)
        libc.name_process("kubesvc-pod")
        self._catch_signals()
        self._enter_namespaces()
        if self._spec.network is not None:
            open_low_ports()
            own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            with RouteSocket() as pod:
                wire_pod(self._node, pod, own, self._spec.network)
            os.close(own)
        listener = bind_socket(self._spec.directory)
        self._watch(listener.fileno(), lambda: self._accept(listener))
        remember_shim(self._spec, os.getpid())

    def serve(self) -> None:
        """Handle events until told to stop."""
        while not self._stopped:
            self._handle_events(self._selector.select())

    def _handle_events(self, events: Iterable[tuple[selectors.SelectorKey, int]]) -> None:
        for key, _ in events:
            # What is handled first may have closed, or replaced, what stands later in the same batch:
            # the end of a container closes its streams, news that cannot be sent a connection.
            if self._selector.get_map().get(key.fd) is key:
                key.data()

    def tear_down(self) -> None:
        """Kill what runs, and take the node's end of the network away."""
        self._runs.kill_all()
        if self._spec.network is not None:
            unwire_pod(self._node, self._spec.network)

    def _enter_namespaces(self) -> None:
        kinds = libc.CLONE_NEWNS | libc.CLONE_NEWUTS | libc.CLONE_NEWIPC
        if self._spec.network is not None:
            kinds |= libc.CLONE_NEWNET
        libc.unshare(kinds)
        libc.mount("", "/", "none", MNT_SLAVE | RECURSIVE)
        # A copy of the names of other namespaces would keep those alive after their end.
        with suppress(OSError):
            libc.umount("/run/netns", DETACH)
        socket.sethostname(self._spec.hostname)
        libc.mount("tmpfs", f"{self._spec.directory}/shm", "tmpfs", NO_SUID | NO_DEVICES, "mode=1777,size=64m")

    def _catch_signals(self) -> None:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._signals = (reader, writer)
        self._watch(reader.fileno(), lambda: self._signalled(reader))

    def _signalled(self, reader: socket.socket) -> None:
        if signal.SIGTERM in reader.recv(4096):
            self._stopped = True
        self._runs.reap()

    def _watch(self, fd: int, callback: Callable[[], None]) -> None:
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def _unwatch(self, fd: int) -> None:
        self._selector.unregister(fd)

    # Connections

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.setblocking(False)
        self._connections.add(connection)
        self._watch(connection.fileno(), lambda: self._receive(connection))
        self._send(connection, p.Hello(self._spec, os.getpid(), self._created_at, self._runs.states()))

    def _receive(self, connection: socket.socket) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(connection, p.MAX_MESSAGE, 4)
        except OSError:
            data, fds = b"", []
        if not data:
            self._drop(connection)
            return
        request = p.decode_request(data)
        try:
            self._handle(connection, request, fds)
        except (OSError, LookupError) as err:
            self._send(connection, p.Failed(request.id, str(err)))
        finally:
            for fd in fds:
                os.close(fd)

    def _handle(self, connection: socket.socket, request: p.Request, fds: list[int]) -> None:
        match request:
            case p.Start():
                self._runs.start(fds[0], lambda answer: self._send(connection, answer), request.id)
            case p.Signal():
                self._runs.running(request.container).signal(request.number)
                self._send(connection, p.Done(request.id))
            case p.Exec():
                self._runs.execute(request, fds, lambda answer: self._send(connection, answer))
            case p.KillExec():
                self._runs.kill_exec(request.exec)
                self._send(connection, p.Done(request.id))
            case p.Attach():
                self._attach(connection, request, self._runs.running(request.container), fds)
            case p.Stop():
                self._stopped = True
                self._runs.kill_all()
                self._send(connection, p.Done(request.id))

    def _attach(self, connection: socket.socket, request: p.Attach, run: Run, fds: list[int]) -> None:
        run.attach(os.dup(fds[0]), os.dup(fds[1]))
        stdin = [run.stdin] if run.stdin is not None else []
        self._send(connection, p.Done(request.id, run.state), stdin)
        if run.spec.stdin_once:
            # The caller's copy is the only one now: when the caller ends, so does the container's input.
            run.close_stdin()

    def _broadcast(self, message: p.Message) -> None:
        for connection in tuple(self._connections):
            self._send(connection, message)

    def _send(self, connection: socket.socket, message: p.Message, fds: list[int] | None = None) -> None:
        """An agent that does not read is dropped: it learns everything again when it reconnects."""
        if connection not in self._connections:
            return
        try:
            socket.send_fds(connection, [p.encode(message)], fds or [])
        except OSError:
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        self._connections.discard(connection)
        self._unwatch(connection.fileno())
        connection.close()
