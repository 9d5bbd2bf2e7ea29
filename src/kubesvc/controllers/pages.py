"""The controllers' HTTP: /metrics, /healthz, /livez and /readyz, as kube-controller-manager has them, without TLS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kubesvc.aio.pages import Page, close_pages, port_of, serve_pages, split_address
from kubesvc.observe import METRICS_TYPE, Registry


@asynccontextmanager
async def serving(bind: str, registry: Registry, ready: asyncio.Event) -> AsyncIterator[int]:
    """Answer on `bind` (address:port, "" for nowhere) inside the block; yields the port.

    /readyz is 503 until `ready` is set. Raises OSError when the address is taken.
    """
    if not bind:
        yield 0
        return

    async def metrics() -> Page:
        return Page(200, registry.render(), METRICS_TYPE)

    async def healthy() -> Page:
        return Page(200, b"ok")

    async def readiness() -> Page:
        return Page(200, b"ok") if ready.is_set() else Page(503, b"the caches are not filled yet")

    pages = {"/metrics": metrics, "/healthz": healthy, "/livez": healthy, "/readyz": readiness}
    server = await serve_pages(*split_address(bind), pages)
    try:
        yield port_of(server)
    finally:
        await close_pages(server)
