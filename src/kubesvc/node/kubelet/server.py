"""The node's own HTTPS API, as the API server calls it: logs, exec, attach, and what the node runs.

Every request but /healthz carries the bearer token that only the API server has.
"""

import hmac
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web

from kubesvc.node.agent import Agent
from kubesvc.node.kubelet.logs import serve_logs
from kubesvc.node.kubelet.sessions import serve_attach, serve_exec
from kubesvc.node.options import NodeOptions
from kubesvc.node.records import all_containers
from kubesvc.node.worker import PodWorker
from kubesvc.observe import Registry

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PodHandler = Callable[[web.Request, PodWorker, str], Awaitable[web.StreamResponse]]


class KubeletServer:
    """Serves an agent's pods."""

    def __init__(self, options: NodeOptions, agent: Agent) -> None:
        self._options = options
        self._agent = agent
        self._registry = Registry()
        self._pods = self._registry.gauge("kubelet_running_pods", "Pods that have a sandbox on this node.")
        self._containers = self._registry.gauge("kubelet_running_containers", "Containers that run on this node.")

    def application(self) -> web.Application:
        """The routes, behind the token check."""
        app = web.Application(middlewares=[self._authenticate])
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/pods", self._list)
        app.router.add_get("/metrics", self._metrics)
        for path, handler in (("containerLogs", serve_logs), ("exec", serve_exec), ("attach", serve_attach)):
            app.router.add_get(f"/{path}/{{namespace}}/{{pod}}/{{container}}", self._on_container(handler))
        return app

    async def start(self) -> web.AppRunner:
        """Listen on the node's address; OSError says why that is not possible."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._options.tls_cert, self._options.tls_key)
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(
            runner, self._options.node_ip, self._options.kubelet_port, ssl_context=context, reuse_address=True
        )
        await site.start()
        return runner

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != "/healthz" and not self._has_token(request):
            raise web.HTTPUnauthorized(text="Unauthorized")
        return await handler(request)

    def _has_token(self, request: web.Request) -> bool:
        try:
            token = Path(self._options.kubelet_token_file).read_text().strip()
        except OSError:
            return False
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return bool(token) and hmac.compare_digest(given.encode(), token.encode())

    def _on_container(self, handler: PodHandler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            namespace, pod, container = (request.match_info[name] for name in ("namespace", "pod", "container"))
            worker = self._agent.find(namespace, pod)
            if worker is None:
                raise web.HTTPNotFound(text=f'pod "{pod}" not found on node {self._options.node_name}')
            if all(each.name != container for each in all_containers(worker.pod)):
                raise web.HTTPNotFound(text=f'container "{container}" not found in pod "{namespace}/{pod}"')
            return await handler(request, worker, container)

        return handle

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _list(self, _: web.Request) -> web.Response:
        pods = [worker.pod for worker in self._agent.workers.values()]
        return web.Response(
            body=msgspec.json.encode({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}),
            content_type="application/json",
        )

    async def _metrics(self, _: web.Request) -> web.Response:
        workers = self._agent.workers.values()
        self._pods.set(sum(worker.record.sandbox == "ready" for worker in workers))
        self._containers.set(sum(c.running for worker in workers for c in worker.record.containers.values()))
        return web.Response(body=self._registry.render(), content_type="text/plain")
