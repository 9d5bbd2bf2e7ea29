"""HTTPS: one handler for every path, on aiohttp's low-level server (see docs/adr/0002-http-server.md).

Answers are bodies, streams of chunks, or tunnels; large bodies are compressed when the client can take it.
"""

import asyncio
import contextlib
import gzip
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from kubesvc import observe
from kubesvc.aio.clock import Clock
from kubesvc.aio.tls import slim_tls_buffers
from kubesvc.api.status import TooLarge
from kubesvc.apiserver.answers import Answer, Reply, Stream, Tunnel, of_error
from kubesvc.apiserver.api import Api
from kubesvc.apiserver.request import Call, parse_query, parse_target

MAX_BODY = 3 << 20
_GZIP_FROM = 128 << 10
_KEEP_ALIVE = 180.0
_SLOW_SECONDS = 1.0
_GRACE_SECONDS = 1.0
_LONG_RUNNING = frozenset({"watch"})
_log = observe.log("apiserver.http")


class HttpServer:
    """Serves an `Api` on listening sockets until `close`."""

    def __init__(self, api: Api, clock: Clock, metrics: observe.Registry) -> None:
        self._api = api
        self._clock = clock
        self._requests = metrics.counter("apiserver_request_total", "Requests answered.", ("verb", "resource", "code"))
        self._durations = metrics.histogram(
            "apiserver_request_duration_seconds", "Time to a complete answer, watches excluded.", ("verb", "resource")
        )
        self._web = web.Server(
            self._handle, request_factory=_request, handler_cancellation=True, keepalive_timeout=_KEEP_ALIVE,
            access_log=None,
        )  # fmt: skip
        self._servers: list[asyncio.Server] = []
        self._streams: set[Stream] = set()

    async def listen(self, sockets: Sequence[socket.socket], tls: ssl.SSLContext) -> None:
        slim_tls_buffers()
        loop = asyncio.get_running_loop()
        for one in sockets:
            self._servers.append(await loop.create_server(self._web, sock=one, ssl=tls, backlog=1024))

    async def close(self) -> None:
        """Stop listening, end every watch in good order, then every connection."""
        for server in self._servers:
            server.close()
        for stream in self._streams:
            stream.close()
        self._web.pre_shutdown()
        await self._web.shutdown(timeout=_GRACE_SECONDS)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        target = parse_target(path)
        call = Call(request.method, path, parse_query(query), request.headers, target=target, query_string=query)
        started = self._clock.monotonic()
        reply = await self._reply(request, call)
        self._observe(call, _code(reply), self._clock.monotonic() - started)
        if isinstance(reply, Answer):
            return await _respond(request, call, reply)
        if isinstance(reply, Stream):
            self._streams.add(reply)
            try:
                return await _stream(request, reply)
            finally:
                self._streams.discard(reply)
        response: web.StreamResponse = await reply.serve(request)
        return response

    async def _reply(self, request: web.BaseRequest, call: Call) -> Reply:
        try:
            if request.body_exists:
                if request.headers.get("Expect", "").lower() == "100-continue":
                    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                call.body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return of_error(TooLarge(f"limit is {MAX_BODY} bytes"))
        return await self._api.handle(call)

    def _observe(self, call: Call, code: int, seconds: float) -> None:
        verb, resource = call.verb, call.target.plural if call.target else ""
        self._requests.inc(verb, resource, str(code))
        if verb in _LONG_RUNNING:
            return
        self._durations.observe(seconds, verb, resource)
        if seconds > _SLOW_SECONDS:
            _log.info("slow request", method=call.method, path=call.path, code=code, seconds=seconds)
        elif _log.enabled_for_debug():
            _log.debug(
                "request", method=call.method, path=call.path, query=call.query_string, code=code,
                user=call.user.name, seconds=seconds,
            )  # fmt: skip


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)


def _code(reply: Reply) -> int:
    return 101 if isinstance(reply, Tunnel) else reply.status


async def _respond(request: web.BaseRequest, call: Call, answer: Answer) -> web.Response:
    headers = CIMultiDict(answer.headers)
    headers["Content-Type"] = answer.content_type
    for warning in call.warnings:
        headers.add("Warning", f'299 - "{_quoted(warning)}"')
    body = answer.body
    if len(body) >= _GZIP_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
        body = await asyncio.to_thread(gzip.compress, body, 1)
    return web.Response(body=body, status=answer.status, headers=headers)


async def _stream(request: web.BaseRequest, stream: Stream) -> web.StreamResponse:
    response = web.StreamResponse(status=stream.status, headers={"Content-Type": stream.content_type})
    response.enable_chunked_encoding()
    try:
        await response.prepare(request)
        async with contextlib.aclosing(stream.chunks) as chunks:
            async for chunk in chunks:
                await response.write(chunk)
        await response.write_eof()
    except ConnectionResetError:
        # The client has hung up: that is how watches end.
        pass
    finally:
        stream.close()
    return response


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and later, HTTP/1.1. Raises OSError or ssl.SSLError for files that do not work."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def open_listener(address: str, port: int) -> socket.socket:
    """A listening TCP socket; OSError where the address is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=1024)
