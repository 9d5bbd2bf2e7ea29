"""P: what `kubesvc/echo` answers."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import msgspec

REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 301: "Moved Permanently", 302: "Found", 400: "Bad Request",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 418: "I'm a teapot", 429: "Too Many Requests",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip
MAX_DELAY = 600.0


class Identity(msgspec.Struct, frozen=True):
    """Who answers: the pod's name first, since that is what a test of load balancing compares."""

    name: str
    address: str
    node: str = ""
    namespace: str = ""
    greeting: str = ""


class Request(msgspec.Struct, frozen=True):
    """One HTTP request's head."""

    method: str
    target: str
    version: str
    headers: Mapping[str, str]

    @property
    def keep_alive(self) -> bool:
        connection = self.headers.get("connection", "").lower()
        return connection != "close" if self.version == "HTTP/1.1" else connection == "keep-alive"


class Answer(msgspec.Struct, frozen=True):
    """A status, a body, and how long to wait before sending them, in seconds."""

    status: int
    body: bytes
    delay: float = 0.0

    def encode(self, *, keep_alive: bool, with_body: bool) -> bytes:
        """The bytes of the HTTP response."""
        head = (
            f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(self.body)}\r\n"
            f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
        )
        return head.encode() + (self.body if with_body else b"")


def parse_request(head: bytes) -> Request | None:
    """The request line and headers; None for what is not HTTP."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        return None
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return Request(words[0], words[1], words[2], headers)


def looks_like_http(data: bytes) -> bool | None:
    """Whether a connection's first bytes begin an HTTP request; None while that is open."""
    for method in (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH "):
        if data.startswith(method):
            return True
        if method.startswith(data):
            return None
    return False


def answer_http(request: Request, me: Identity, client: str, server: str, *, draining: bool) -> Answer:
    """`/healthz`, `/readyz`, `/hostname`, `/clientip`, `/status/<code>`, `/slow?seconds=`; else the whole story."""
    url = urlsplit(request.target)
    path = url.path
    if path in ("/healthz", "/livez"):
        return Answer(200, b"ok\n")
    if path == "/readyz":
        return Answer(503, b"draining\n") if draining else Answer(200, b"ok\n")
    if path == "/hostname":
        return Answer(200, f"{me.name}\n".encode())
    if path == "/clientip":
        return Answer(200, f"{client}\n".encode())
    if path.startswith("/status/") and path[8:].isdigit() and 200 <= int(path[8:]) <= 599:
        return Answer(int(path[8:]), _story(me, "HTTP", client, server))
    body = _story(me, "HTTP", client, server, request)
    if path == "/slow":
        return Answer(200, body, _seconds(url.query))
    return Answer(200, body)


def answer_raw(data: bytes, me: Identity, protocol: str, client: str, server: str) -> bytes:
    """The answer to a line over TCP or to a datagram: who answers, and what was said."""
    return _story(me, protocol, client, server) + b"data: " + data.rstrip(b"\r\n") + b"\n"


def _seconds(query: str) -> float:
    try:
        return min(max(float(parse_qs(query).get("seconds", ["1"])[0]), 0.0), MAX_DELAY)
    except ValueError:
        return 1.0


def _story(me: Identity, protocol: str, client: str, server: str, request: Request | None = None) -> bytes:
    lines = [me.name]
    if me.greeting:
        lines.append(me.greeting)
    lines.append(
        f"pod: {me.address}" + (f" on {me.node}" if me.node else "") + (f" in {me.namespace}" if me.namespace else "")
    )
    lines.append(f"client: {client}")
    lines.append(f"server: {server}")
    lines.append(f"protocol: {protocol}")
    if request is not None:
        lines.append(f"request: {request.method} {request.target} {request.version}")
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return ("\n".join(lines) + "\n").encode(errors="replace")
