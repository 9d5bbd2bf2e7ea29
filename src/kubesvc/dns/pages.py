"""The HTTP pages of a server, each on a port that the configuration may change."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from kubesvc.aio.pages import Page, close_pages, serve_pages
from kubesvc.dns.options import DnsOptions

_Where = tuple[str | None, int, str]  # host, port, path


class Pages:
    """Serves `pages`, by path, wherever the options last opened want them."""

    def __init__(self, pages: Mapping[str, Callable[[], Awaitable[Page]]]) -> None:
        self._pages = pages
        self._servers: dict[_Where, asyncio.Server] = {}

    async def open(self, options: DnsOptions) -> None:
        """Serve where `options` say, and still where pages are served now; OSError leaves it at the latter."""
        opened: dict[_Where, asyncio.Server] = {}
        try:
            for where in _wanted(options) - self._servers.keys():
                host, port, path = where
                opened[where] = await serve_pages(host, port, {path: self._pages[path]})
        except OSError:
            await close_pages(*opened.values())
            raise
        self._servers |= opened

    async def keep(self, options: DnsOptions) -> None:
        """Serve nowhere but where `options` say."""
        unwanted = self._servers.keys() - _wanted(options)
        await close_pages(*(self._servers.pop(where) for where in unwanted))

    async def close(self) -> None:
        await close_pages(*self._servers.values())
        self._servers.clear()


def _wanted(options: DnsOptions) -> set[_Where]:
    # None is every address of either family.
    host = None if ":" in options.bind else "0.0.0.0"
    ports = {"/health": options.health_port, "/ready": options.ready_port, "/metrics": options.metrics_port}
    return {(host, port, path) for path, port in ports.items() if port}
