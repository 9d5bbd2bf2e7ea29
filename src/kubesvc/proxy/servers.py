"""The proxy's HTTP: /healthz, /livez, /metrics, /proxyMode, /configz, and Services' health-check ports."""

import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime

from aiohttp import web

from kubesvc.proxy.health import health_check_answer
from kubesvc.proxy.model import HealthCheck

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[], Answer]

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
METRICS = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


class HttpServer:
    """A few GET paths on one address."""

    def __init__(self, bind: str, routes: dict[str, Handler]) -> None:
        host, _, port = bind.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        application = web.Application()
        for path, handler in routes.items():
            application.router.add_get(path, _adapt(handler))
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)

    @property
    def port(self) -> int:
        """The port it listens on, also where 0 was asked for."""
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Begin to answer; raises OSError when the address is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host or None, self._port)
        await site.start()

    async def stop(self) -> None:
        await self._runner.cleanup()


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
            server = HttpServer(f":{port}", {"/{path:.*}": lambda port=port: self._answer(port)})  # type: ignore[misc]
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


def _adapt(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        status, headers, body = handler()
        return web.Response(status=status, headers=headers, body=body)

    return handle
