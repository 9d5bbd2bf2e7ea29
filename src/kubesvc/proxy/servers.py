"""The proxy's HTTP: /healthz, /livez, /metrics, /proxyMode, /configz, and Services' health-check ports."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from inspect import isawaitable

from kubesvc.aio import pages
from kubesvc.aio.pages import ANY_PATH, Page, port_of, serve_pages, split_address
from kubesvc.observe import METRICS_TYPE
from kubesvc.proxy.health import health_check_answer
from kubesvc.proxy.model import HealthCheck

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[], Answer | Awaitable[Answer]]

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": pages.TEXT}
METRICS = {"Content-Type": METRICS_TYPE}


class HttpServer:
    """A few GET paths on one address."""

    def __init__(self, bind: str, routes: Mapping[str, Handler]) -> None:
        self._host, self._port = split_address(bind)
        self._pages = {path: _page(handler) for path, handler in routes.items()}
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on, also where 0 was asked for."""
        return port_of(self._server) if self._server else self._port

    async def start(self) -> None:
        """Begin to answer; raises OSError when the address is taken."""
        self._server = await serve_pages(self._host, self._port, self._pages)

    async def stop(self) -> None:
        if self._server:
            self._server.close()


class HealthCheckServers:
    """One server per health-check port, following what the plans ask for."""

    def __init__(self, proxy_healthy: Callable[[], bool], failed: Callable[[HealthCheck, OSError], None]) -> None:
        self._proxy_healthy = proxy_healthy
        self._failed = failed
        self._checks: dict[int, HealthCheck] = {}
        self._servers: dict[int, HttpServer] = {}

    async def follow(self, checks: Iterable[HealthCheck]) -> None:
        """Serve exactly these; a port that cannot be had is reported and tried again at the next call."""
        self._checks = {check.port: check for check in checks}
        for port in self._servers.keys() - self._checks.keys():
            await self._servers.pop(port).stop()
        for port in self._checks.keys() - self._servers.keys():
            server = HttpServer(f":{port}", {ANY_PATH: lambda port=port: self._answer(port)})  # type: ignore[misc]
            try:
                await server.start()
            except OSError as err:
                await server.stop()
                self._failed(self._checks[port], err)
            else:
                self._servers[port] = server

    async def stop(self) -> None:
        for server in self._servers.values():
            await server.stop()
        self._servers.clear()

    def _answer(self, port: int) -> Answer:
        return health_check_answer(self._checks[port], proxy_healthy=self._proxy_healthy())


def timestamps(healthy: bool, updated: datetime | None) -> Answer:
    """The body kube-proxy gives on /healthz and /livez."""
    now = datetime.now(UTC)
    body = {"lastUpdated": str(updated or now), "currentTime": str(now)}
    return 200 if healthy else 503, JSON, json.dumps(body).encode()


def _page(handler: Handler) -> Callable[[], Awaitable[Page]]:
    async def page() -> Page:
        answer = handler()
        status, headers, body = await answer if isawaitable(answer) else answer
        return Page(status, body, headers=headers)

    return page
