"""The three small HTTP pages of a DNS server: /health, /ready and /metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

_REQUEST_SECONDS = 5.0


class Page(NamedTuple):
    """One answer of a page."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Pages = Mapping[str, Callable[[], Awaitable[Page]]]


async def serve_pages(host: str | None, port: int, pages: Pages) -> asyncio.Server:
    """Serve `pages` by path until the returned server is closed; raises OSError when the port is taken."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _respond(request, pages))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that went away or never asked has nothing to be told
        finally:
            writer.close()

    return await asyncio.start_server(handle, host, port, limit=16 << 10)


async def _respond(request: bytes, pages: Pages) -> bytes:
    method, path, *_ = [*request.split(b"\r\n", 1)[0].decode("latin-1").split(" "), "", ""]
    page = pages.get(path.partition("?")[0])
    if page is None:
        answer = Page(404, b"not found\n")
    elif method not in ("GET", "HEAD"):
        answer = Page(405, b"method not allowed\n")
    else:
        answer = await page()
    reason = {200: "OK", 404: "Not Found", 405: "Method Not Allowed"}.get(answer.status, "Service Unavailable")
    head = (
        f"HTTP/1.1 {answer.status} {reason}\r\nContent-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == "HEAD" else answer.body)
