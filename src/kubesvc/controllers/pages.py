"""The controllers' HTTP: /metrics, /healthz, /livez and /readyz, as kube-controller-manager has them, without TLS."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from kubesvc.observe import Registry

Page = Callable[[web.Request], Awaitable[web.Response]]
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def serving(bind: str, registry: Registry, ready: asyncio.Event) -> AsyncIterator[int]:
    """Answer on `bind` (address:port, "" for nowhere) inside the block; yields the port.

    /readyz is 503 until `ready` is set. Raises OSError when the address is taken.
    """
    if not bind:
        yield 0
        return
    host, _, port = bind.rpartition(":")
    application = web.Application()
    for path, page in _pages(registry, ready).items():
        application.router.add_get(path, page)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host.strip("[]") or None, int(port)).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _pages(registry: Registry, ready: asyncio.Event) -> dict[str, Page]:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=registry.render(), headers={"Content-Type": _METRICS_TYPE})

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readiness(_: web.Request) -> web.Response:
        if ready.is_set():
            return web.Response(text="ok")
        return web.Response(status=503, text="the caches are not filled yet")

    return {"/metrics": metrics, "/healthz": healthy, "/livez": healthy, "/readyz": readiness}
