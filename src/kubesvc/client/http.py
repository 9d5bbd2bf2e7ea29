"""The transport over HTTPS (aiohttp)."""

import asyncio
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from kubesvc.aio.tls import slim_tls_buffers
from kubesvc.aio.web import aiohttp
from kubesvc.api.status import ApiError, parse_status
from kubesvc.client.errors import ConnectionFailed, KubeconfigError
from kubesvc.client.kubeconfig import Access
from kubesvc.client.transport import NO_QUERY, Response

_CONNECT_SECONDS = 10.0
_LONGEST_FRAME = 64 << 20
"""Bytes of one watch event; etcd holds objects of 1.5 MiB at most. More is no event."""
_FAILURES = (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError)


@dataclass(frozen=True, slots=True)
class Patience:
    """For how many seconds a server may say nothing before its connection is given up.

    An answer that trickles in is waited for: a large list over a slow line takes its time.
    """

    request: float = 60.0
    """kube-apiserver's own limit for a request."""
    watch: float = 90.0
    """Bookmarks come about once a minute, also where nothing changes."""
    answer: float = 600.0
    """For the whole of one answer, however it trickles."""


PATIENCE = Patience()


class HttpTransport:
    """One pool of kept connections to one API server."""

    def __init__(self, access: Access, *, user_agent: str = "kubesvc", patience: Patience = PATIENCE) -> None:
        self._access = access
        self._request_timeout = aiohttp.ClientTimeout(
            total=patience.answer, sock_connect=_CONNECT_SECONDS, sock_read=patience.request
        )
        self._watch_timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=patience.watch)
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._token_read: tuple[int, str] | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The underlying session, made on first use inside the running loop."""
        if self._session is None:
            slim_tls_buffers()
            connector = aiohttp.TCPConnector(
                ssl=ssl_context(self._access), limit=0, keepalive_timeout=75, socket_factory=_kept_alive
            )
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=True)
        return self._session

    def url(self, path: str) -> str:
        return self._access.server + path

    def headers(self) -> dict[str, str]:
        """User agent and credentials, the token file read again when it has changed."""
        headers = {"User-Agent": self._user_agent}
        token = self._access.token or self._token_from_file()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NO_QUERY,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Response:
        headers = self.headers()
        headers["Accept"] = accept
        if body is not None:
            headers["Content-Type"] = content_type
        with _translated(f"{method} {self.url(path)}"):
            async with self.session.request(
                method,
                self.url(path),
                params=query,
                data=body,
                headers=headers,
                timeout=self._request_timeout,
                allow_redirects=False,
                server_hostname=self._access.server_name,
            ) as answer:
                return Response(answer.status, await answer.read(), answer.headers)

    @asynccontextmanager
    async def stream(self, path: str, *, query: Mapping[str, str] = NO_QUERY) -> AsyncIterator[AsyncIterator[bytes]]:
        headers = self.headers() | {"Accept": "application/json"}
        what = f"WATCH {self.url(path)}"
        with _translated(what):
            answer = await self.session.get(
                self.url(path),
                params=query,
                headers=headers,
                timeout=self._watch_timeout,
                server_hostname=self._access.server_name,
            )
        async with answer:
            if answer.status != 200:
                with _translated(what):
                    raise error_from(Response(answer.status, await answer.read()))
            # What the consumer raises in between is its own, whatever it is.
            yield _lines(answer.content, what)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _token_from_file(self) -> str | None:
        file = self._access.token_file
        if file is None:
            return None
        try:
            changed = file.stat().st_mtime_ns
            if self._token_read is None or self._token_read[0] != changed:
                self._token_read = (changed, file.read_text().strip())
        except OSError as err:
            # It may be away for a moment while it is replaced; the last token is as good until the server says no.
            if self._token_read is None:
                raise ConnectionFailed(f"token file {file}: {err.strerror}") from err
        return self._token_read[1]


def error_from(response: Response) -> ApiError:
    """The ApiError that a refusing answer carries, also where its body is not a Status."""
    try:
        document = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        document = None
    if not isinstance(document, dict) or document.get("kind") != "Status":
        document = {"message": response.body[:500].decode(errors="replace").strip()}
    return parse_status(document, code=response.status)


def ssl_context(access: Access) -> ssl.SSLContext | bool:
    """TLS as the access asks for; `True` (the library's default) for plain HTTP servers. Raises KubeconfigError."""
    if not access.server.startswith("https"):
        return True
    try:
        context = ssl.create_default_context(cadata=access.ca_pem.decode() if access.ca_pem else None)
    except (ssl.SSLError, UnicodeDecodeError) as err:
        raise KubeconfigError(
            f"{access.origin}: no certificates are in its certificate-authority: {err}; "
            "put the cluster's CA there as PEM (-----BEGIN CERTIFICATE-----)"
        ) from err
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.cert_pem and access.key_pem:
        # The standard library loads client certificates from files only.
        with tempfile.NamedTemporaryFile() as pem:
            pem.write(access.cert_pem + b"\n" + access.key_pem)
            pem.flush()
            try:
                context.load_cert_chain(pem.name)
            except ssl.SSLError as err:
                raise KubeconfigError(
                    f"{access.origin}: client-certificate and client-key do not fit: {err}; both are PEM, of one user"
                ) from err
    return context


def _kept_alive(address: tuple[Any, ...]) -> socket.socket:
    """A socket that finds out within half a minute when nobody is at the other end any more."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


async def _lines(content: aiohttp.StreamReader, what: str) -> AsyncIterator[bytes]:
    with _translated(what):
        async for line in _split(content):
            yield line


async def _split(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    # Not `readline`: it refuses lines above its buffer limit, and one object may be 1.5 MiB.
    buffer = bytearray()
    async for chunk in content.iter_any():
        start = len(buffer)
        buffer += chunk
        end = buffer.rfind(b"\n", start)
        if end < 0:
            if len(buffer) > _LONGEST_FRAME:
                raise ConnectionFailed(f"a watch event of more than {_LONGEST_FRAME >> 20} MiB")
            continue
        complete = bytes(buffer[:end])
        del buffer[: end + 1]
        for line in complete.split(b"\n"):
            if line:
                yield line


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """What goes wrong on the line, as ConnectionFailed."""
    try:
        yield
    except _FAILURES as err:
        raise ConnectionFailed(f"{what}: {_reason(err)}") from err


def _reason(err: BaseException) -> str:
    if isinstance(err, asyncio.TimeoutError):
        return "timed out"
    return str(err) or type(err).__name__
