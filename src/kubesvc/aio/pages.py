"""A few read-only HTTP pages of a component: health, metrics. One request a connection, no library."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

TEXT = "text/plain; charset=utf-8"
ANY_PATH = "*"
"""The key of the page for every path that has none of its own."""

_REQUEST_SECONDS = 5.0
_LONGEST_HEAD = 16 << 10
_ACCEPTING_TURNS = 5
"""More turns than asyncio takes from accepting a connection to its handler."""


class Page(NamedTuple):
    """One answer of a page."""

    status: int
    body: bytes
    content_type: str = TEXT
    headers: Mapping[str, str] | None = None


Pages = Mapping[str, Callable[[], Awaitable[Page]]]


async def serve_pages(host: str | Sequence[str] | None, port: int, pages: Pages) -> asyncio.Server:
    """Serve `pages` by path until the returned server is closed; raises OSError when the port is taken.

    `host` is one address or several; None is every address of either family.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _respond(request, pages))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that went away or never asked has nothing to be told
        except asyncio.CancelledError:
            writer.transport.abort()  # a closed one would wait for a client that takes its time to read
            raise
        finally:
            writer.close()

    return await asyncio.start_server(handle, host, port, limit=_LONGEST_HEAD)


async def close_pages(*servers: asyncio.Server) -> None:
    """Listen no more. A connection accepted this moment still comes to its handler, and so to its end.

    A server that is closed right after it has accepted would let go of the socket without closing it.
    """
    loop = asyncio.get_running_loop()
    for server in servers:
        for listening in server.sockets:
            loop.remove_reader(listening)
    for _ in range(_ACCEPTING_TURNS):
        await asyncio.sleep(0)
    for server in servers:
        server.close()


def port_of(server: asyncio.Server) -> int:
    """The port it listens on, also where 0 was asked for."""
    return int(server.sockets[0].getsockname()[1])


def split_address(bind: str) -> tuple[str | None, int]:
    """`host:port`, `[::1]:port` or `:port` as `serve_pages` takes them. Raises ValueError."""
    host, _, port = bind.rpartition(":")
    return host.strip("[]") or None, int(port)


async def _ask(page: Callable[[], Awaitable[Page]]) -> Page:
    """What the page says. Its own failure is no client's: it goes to the loop's handler, which logs it."""
    try:
        return await page()
    except Exception as err:
        loop = asyncio.get_running_loop()
        loop.call_exception_handler({"message": "a page failed", "exception": err})
        return Page(500, b"internal error\n")


async def _respond(request: bytes, pages: Pages) -> bytes:
    method, path, *_ = [*request.split(b"\r\n", 1)[0].decode("latin-1").split(" "), "", ""]
    page = pages.get(path.partition("?")[0]) or pages.get(ANY_PATH)
    if page is None:
        answer = Page(404, b"not found\n")
    elif method not in ("GET", "HEAD"):
        answer = Page(405, b"method not allowed\n")
    else:
        answer = await _ask(page)
    headers = {
        "Content-Type": answer.content_type,
        "Content-Length": str(len(answer.body)),
        "Connection": "close",
        **(answer.headers or {}),
    }
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else answer.body)
