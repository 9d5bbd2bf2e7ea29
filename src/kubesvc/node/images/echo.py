"""`kubesvc/echo`: HTTP, raw TCP and UDP on $PORT (default 8080), one small selector loop.

The first line of every answer is the pod's name. HTTP and raw TCP share the port: what a connection
says first decides. On SIGTERM it goes on serving for $DRAIN_SECONDS (default 1), which gives the
rules on every node time to let go of it, then stops listening and ends with its last connection.
"""

import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence

from kubesvc.node.images.echo_answers import Identity, Request, answer_http, answer_raw, looks_like_http, parse_request

_LAST_WORDS = 25.0
_HEAD_LIMIT = 64 << 10


def echo(argv: Sequence[str]) -> None:
    """Serve until drained; `--port N` overrides $PORT."""
    port = int(argv[argv.index("--port") + 1]) if "--port" in argv else int(os.environ.get("PORT") or "8080")
    server = Echo(port)
    announce_start()
    server.serve()
    sys.exit(0)


# The runtime reports the container as running when it serves, not a moment before.
echo.announces_start = True  # type: ignore[attr-defined]


def announce_start() -> None:
    """Tell the runtime, if there is one, that this program serves."""
    descriptor = os.environ.pop("KUBESVC_STARTED_FD", "")
    if descriptor:
        os.close(int(descriptor))


def identity() -> Identity:
    """Who this pod is: by $POD_NAME and the like, else by its hostname and address."""
    name = os.environ.get("POD_NAME") or socket.gethostname()
    return Identity(
        name=name,
        address=os.environ.get("POD_IP") or _own_address(),
        node=os.environ.get("NODE_NAME", ""),
        namespace=os.environ.get("POD_NAMESPACE", ""),
        greeting=os.environ.get("GREETING", ""),
    )


def _own_address() -> str:
    """The source address of the default route; no packet is sent for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


class Echo:
    """Listening sockets, connections, and delayed answers."""

    def __init__(self, port: int) -> None:
        self._me = identity()
        self._selector = selectors.DefaultSelector()
        self._connections: set[_Connection] = set()
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._draining_since: float | None = None
        self._drain = float(os.environ.get("DRAIN_SECONDS") or "1")
        self._listener = _listen(port)
        self._datagrams = _listen_datagrams(port)
        self._wakeup, wake = socket.socketpair()
        wake.setblocking(False)
        self._wake = wake
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._datagrams, selectors.EVENT_READ, self._answer_datagram)
        self._selector.register(self._wakeup, selectors.EVENT_READ, lambda: self._wakeup.recv(64))
        print(f"echo: {self._me.name} ({self._me.address}) answers HTTP, TCP and UDP on port {port}", flush=True)

    def serve(self) -> None:
        """Until SIGTERM and then until the last connection ends."""
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGTERM, lambda *_: self._begin_draining())
        signal.signal(signal.SIGINT, lambda *_: self._begin_draining())
        while not self._drained():
            for key, _ in self._selector.select(self._patience()):
                key.data()
            self._run_due()

    # Draining

    def _begin_draining(self) -> None:
        if self._draining_since is None:
            self._draining_since = time.monotonic()
            print("echo: asked to end, draining", flush=True)

    def _drained(self) -> bool:
        if self._draining_since is None:
            return False
        waited = time.monotonic() - self._draining_since
        if waited < self._drain:
            return False
        if self._listener.fileno() >= 0:
            self._selector.unregister(self._listener)
            self._listener.close()
            for connection in [c for c in self._connections if c.idle]:
                connection.close()
        return not self._connections or waited > self._drain + _LAST_WORDS

    def _patience(self) -> float | None:
        moments = [due for due, _ in self._later]
        if self._draining_since is not None:
            moments.append(self._draining_since + self._drain)
            moments.append(time.monotonic() + 0.25)
        return max(min(moments) - time.monotonic(), 0.0) if moments else None

    @property
    def draining(self) -> bool:
        return self._draining_since is not None

    # Later

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, action))

    def _run_due(self) -> None:
        now = time.monotonic()
        due = [action for moment, action in self._later if moment <= now]
        self._later = [(moment, action) for moment, action in self._later if moment > now]
        for action in due:
            action()

    # Sockets

    def _accept(self) -> None:
        try:
            peer, address = self._listener.accept()
        except OSError:
            return
        peer.setblocking(False)
        self._connections.add(_Connection(self, self._me, peer, _format(address)))

    def watch(self, peer: socket.socket, callback: Callable[[], None]) -> None:
        self._selector.register(peer, selectors.EVENT_READ, callback)

    def watch_write(self, peer: socket.socket, callback: Callable[[], None], *, waiting: bool) -> None:
        self._selector.modify(peer, selectors.EVENT_WRITE if waiting else selectors.EVENT_READ, callback)

    def drop(self, connection: "_Connection", peer: socket.socket) -> None:
        self._connections.discard(connection)
        self._selector.unregister(peer)
        peer.close()

    def _answer_datagram(self) -> None:
        """The answer leaves from the address that was asked, also when that is one of several."""
        try:
            data, address = self._datagrams.recvfrom(65535)
        except OSError:
            return
        server = f"{self._me.address}:{self._datagrams.getsockname()[1]}"
        try:
            self._datagrams.sendto(answer_raw(data, self._me, "UDP", _format(address), server)[:65000], address)
        except OSError as err:
            print(f"echo: answer to {_format(address)} not sent: {err}", flush=True)


class _Connection:
    """One TCP connection: HTTP requests in turn, or raw bytes answered as they come."""

    def __init__(self, echo: Echo, me: Identity, peer: socket.socket, client: str) -> None:
        self._echo, self._me, self._peer, self._client = echo, me, peer, client
        self._server = _format(peer.getsockname())
        self._in = b""
        self._out = b""
        self._http: bool | None = None
        self._close_after = False
        self._body_left = 0
        self._answering = False
        self._closed = False
        echo.watch(peer, self._readable)

    @property
    def idle(self) -> bool:
        """Between two requests."""
        return not (self._in or self._out or self._answering)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._echo.drop(self, self._peer)

    def _readable(self) -> None:
        try:
            data = self._peer.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._in += data
        self._work()

    def _work(self) -> None:
        if self._http is None:
            self._http = looks_like_http(self._in)
        if self._http is False:
            said, self._in = self._in, b""
            self._send(answer_raw(said, self._me, "TCP", self._client, self._server))
        while self._http and not self._answering and not self._closed:
            if self._body_left:
                taken = min(self._body_left, len(self._in))
                self._in, self._body_left = self._in[taken:], self._body_left - taken
                if self._body_left:
                    return
            head, found, rest = self._in.partition(b"\r\n\r\n")
            if not found:
                if len(head) > _HEAD_LIMIT:
                    self.close()
                return
            self._in = rest
            request = parse_request(head)
            if request is None:
                self.close()
                return
            self._handle(request)

    def _handle(self, request: Request) -> None:
        length = request.headers.get("content-length", "0")
        self._body_left = int(length) if length.isdigit() else 0
        answer = answer_http(request, self._me, self._client, self._server, draining=self._echo.draining)
        keep = request.keep_alive and not self._echo.draining
        data = answer.encode(keep_alive=keep, with_body=request.method != "HEAD")
        print(f"{self._client} {request.method} {request.target} {answer.status}", flush=True)
        if not answer.delay:
            self._finish(data, keep=keep)
            return
        self._answering = True
        self._echo.later(answer.delay, lambda: self._finish_later(data, keep=keep))

    def _finish_later(self, data: bytes, *, keep: bool) -> None:
        self._answering = False
        if not self._closed:
            self._finish(data, keep=keep)
            self._work()

    def _finish(self, data: bytes, *, keep: bool) -> None:
        self._close_after = self._close_after or not keep
        self._send(data)

    def _send(self, data: bytes) -> None:
        self._out += data
        self._flush()

    def _flush(self) -> None:
        try:
            sent = self._peer.send(self._out) if self._out else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self._out = self._out[sent:]
        if self._out:
            self._echo.watch_write(self._peer, self._flush, waiting=True)
        elif self._close_after:
            self.close()
        else:
            self._echo.watch_write(self._peer, self._readable, waiting=False)


def _listen(port: int) -> socket.socket:
    """Dual-stack where there is IPv6, so that one program serves both families."""
    listener = socket.create_server(("", port), backlog=1024, reuse_port=False)
    listener.setblocking(False)
    return listener


def _listen_datagrams(port: int) -> socket.socket:
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("", port))
    datagrams.setblocking(False)
    return datagrams


def _format(address: tuple[object, ...]) -> str:
    return f"{address[0]}:{address[1]}"
