"""The proxy's HTTP: /healthz, /livez, /metrics, /proxyMode, /configz, and Services' health-check ports."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from inspect import isawaitable

from kubesvc.aio.clock import Clock
from kubesvc.aio.pages import ANY_PATH, Page, close_pages, port_of, serve_pages, split_address
from kubesvc.aio.pages import TEXT as PLAIN
from kubesvc.observe import METRICS_TYPE
from kubesvc.proxy.health import Answer, checks_by_port, health_check_answer
from kubesvc.proxy.model import HealthCheck

Handler = Callable[[], Answer | Awaitable[Answer]]

TEXT = {"Content-Type": PLAIN, "X-Content-Type-Options": "nosniff"}
BIND_RETRY_SECONDS = 5.0
METRICS = {"Content-Type": METRICS_TYPE}


class HttpServer:
    """A few GET paths on one address."""

    def __init__(self, bind: str, routes: Mapping[str, Handler]) -> None:
        self.bind = bind
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
            await close_pages(self._server)


async def keep_serving(server: HttpServer, clock: Clock, failed: Callable[[OSError], None]) -> None:
    """Start a server whose address is taken, as that of a predecessor may be, as soon as it can be had."""
    while True:
        await clock.sleep(BIND_RETRY_SECONDS)
        try:
            await server.start()
        except OSError as err:
            failed(err)
        else:
            return


class HealthCheckServers:
    """One server per health-check port, following what the plans ask for."""

    def __init__(self, proxy_healthy: Callable[[], bool], failed: Callable[[HealthCheck, OSError], None]) -> None:
        self._proxy_healthy = proxy_healthy
        self._failed = failed
        self._checks: dict[int, HealthCheck] = {}
        self._hosts: Sequence[str] | None = None
        self._servers: dict[int, asyncio.Server] = {}

    async def follow(self, checks: Iterable[HealthCheck], hosts: Sequence[str] | None = None) -> None:
        """Serve exactly these on the node's addresses `hosts`, None for all.

        A port that cannot be had is reported and tried again at the next call.
        """
        self._checks = checks_by_port(checks)
        if hosts != self._hosts:
            self._hosts = hosts
            await self.stop()
        for port in self._servers.keys() - self._checks.keys():
            self._servers.pop(port).close()
        for port in self._checks.keys() - self._servers.keys():
            try:
                self._servers[port] = await serve_pages(
                    self._hosts, port, {ANY_PATH: _page(partial(self._answer, port))}
                )
            except OSError as err:
                self._failed(self._checks[port], err)

    async def stop(self) -> None:
        await close_pages(*self._servers.values())
        self._servers.clear()

    def _answer(self, port: int) -> Answer:
        return health_check_answer(self._checks[port], proxy_healthy=self._proxy_healthy())


def _page(handler: Handler) -> Callable[[], Awaitable[Page]]:
    async def page() -> Page:
        answer = handler()
        status, headers, body = await answer if isawaitable(answer) else answer
        return Page(status, body, headers=headers)

    return page
