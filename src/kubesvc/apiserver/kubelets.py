"""Reaching into pods: `log`, `exec`, `attach` and `portforward` are passed through to the node agent's own API.

Bytes and WebSocket messages go through unread, so whatever subprotocol client and agent agree on works
(`v5.channel.k8s.io`, `v4.channel.k8s.io`, tunnelled SPDY).
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import aiohttp
from aiohttp import web

from kubesvc.api import resources as r
from kubesvc.api.resources import Resource
from kubesvc.api.status import ApiError, BadRequest, InternalError
from kubesvc.apiserver import refusals
from kubesvc.apiserver.answers import Answer, Reply, Stream, Tunnel, of_error, plain
from kubesvc.apiserver.documents import Document
from kubesvc.apiserver.objects import Objects
from kubesvc.apiserver.request import Call, Target, flag

_CHUNK = 64 << 10
_CONNECT_SECONDS = 5.0
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_PATHS = {"exec": "exec", "attach": "attach", "portforward": "portForward"}


@dataclass(frozen=True, slots=True)
class KubeletAccess:
    """How to prove ourselves to node agents, and how they prove themselves to us."""

    token_file: Path | None
    authority: Path

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token_file.read_text().strip()}"} if self.token_file else {}

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))


class Kubelets:
    """The node agents as seen from the API; opens its connections when first needed."""

    def __init__(self, objects: Objects, access: KubeletAccess) -> None:
        self._objects = objects
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def logs(self, call: Call, resource: Resource, target: Target) -> Reply:
        """GET pods/log, followed or not. A pod that is on no node yet has an empty log."""
        pod = self._pod(target)
        container = choose_container(pod, call.query.get("container", ""))
        if not _node_of(pod):
            return plain("")
        path = f"/containerLogs/{target.namespace}/{target.name}/{quote(container)}"
        query = {k: v for k, v in call.query.items() if k != "container"}
        url = self._url(pod, path) + (f"?{urlencode(query)}" if query else "")
        response = await self._get(pod, url)
        if response.status != 200:
            async with response:
                return _passed_refusal(response.status, await response.read())
        if flag(call.query, "follow"):
            return Stream(_chunks(response), response.close, "text/plain")
        async with response:
            return Answer(await response.read(), content_type="text/plain")

    async def connect(self, call: Call, resource: Resource, target: Target) -> Reply:
        """WebSocket to pods/exec, pods/attach, pods/portforward."""
        pod = self._pod(target)
        if not _node_of(pod):
            raise BadRequest(f"pod {target.name} does not have a host assigned")
        path = f"/{_PATHS[target.subresource]}/{target.namespace}/{target.name}"
        pairs = [(k, v) for k, v in parse_qsl(call.query_string, keep_blank_values=True) if k != "container"]
        container = ""
        if target.subresource != "portforward":
            container = choose_container(pod, call.query.get("container", ""))
            path += f"/{quote(container)}"
        if call.headers.get("Upgrade", "").lower() != "websocket":
            # kubectl takes any refused upgrade for an old server's and asks again without: this is what it shows.
            _check_running(pod, container)
            raise BadRequest("Upgrade request required: this server speaks WebSocket, use kubectl 1.31 or later")
        url = self._url(pod, path) + f"?{urlencode(pairs)}"
        offered = [p.strip() for p in call.headers.get("Sec-WebSocket-Protocol", "").split(",") if p.strip()]
        agent = await self._open(pod, url, offered)
        return Tunnel(lambda request: _join(request, agent))

    def _pod(self, target: Target) -> Document:
        pod = self._objects.latest(r.PODS, target.namespace, target.name)
        if pod is None:
            raise refusals.not_found(r.PODS, target.name)
        return pod

    def _url(self, pod: Document, path: str) -> str:
        name = _node_of(pod)
        node = self._objects.latest(r.NODES, "", name)
        if node is None:
            raise refusals.not_found(r.NODES, name)
        return f"https://{kubelet_endpoint(node)}{path}"

    async def _get(self, pod: Document, url: str) -> aiohttp.ClientResponse:
        try:
            return await self._client().get(url, headers=self._access.headers())
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            raise _unreachable(pod, url, err) from err

    async def _open(self, pod: Document, url: str, protocols: list[str]) -> aiohttp.ClientWebSocketResponse:
        try:
            return await self._client().ws_connect(
                url, protocols=protocols, headers=self._access.headers(), max_msg_size=0, autoping=True
            )
        except aiohttp.WSServerHandshakeError as err:
            raise InternalError(f"unable to upgrade connection: {_node_of(pod)} answered {err.status}") from err
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            raise _unreachable(pod, url, err) from err

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
            connector = aiohttp.TCPConnector(ssl=self._access.tls(), limit=0)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        return self._session


def choose_container(pod: Document, wanted: str) -> str:
    """The container a request means; BadRequest where it names none of the pod's, or none of several."""
    spec, metadata = pod.get("spec") or {}, pod["metadata"]
    plain_names = [c["name"] for c in spec.get("containers") or ()]
    init = [c["name"] for c in spec.get("initContainers") or ()]
    if not wanted:
        wanted = (metadata.get("annotations") or {}).get(_DEFAULT_CONTAINER, "")
    if not wanted and len(plain_names) == 1:
        return str(plain_names[0])
    if wanted in (*plain_names, *init):
        return wanted
    if wanted:
        raise BadRequest(f"container {wanted} is not valid for pod {metadata['name']}")
    choices = f"choose one of: [{' '.join(plain_names)}]"
    if init:
        choices += f" or one of the init containers: [{' '.join(init)}]"
    raise BadRequest(f"a container name must be specified for pod {metadata['name']}, {choices}")


def _check_running(pod: Document, container: str) -> None:
    """Refuse as a kubelet does whose container is known not to run; what is unknown the agent answers."""
    status = pod.get("status") or {}
    for kind in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(kind) or ():
            if entry.get("name") == container and not (entry.get("state") or {}).get("running"):
                raise BadRequest(f'unable to upgrade connection: container not found ("{container}")')


def kubelet_endpoint(node: Document) -> str:
    """`address:port` of a node's agent. Raises InternalError for a node without an internal address."""
    status = node.get("status") or {}
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or 10250
    for entry in status.get("addresses") or ():
        if entry.get("type") == "InternalIP":
            host = f"[{entry['address']}]" if ":" in entry["address"] else entry["address"]
            return f"{host}:{port}"
    raise InternalError(f"no preferred addresses found; known addresses: [] (node {node['metadata']['name']})")


def _node_of(pod: Document) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def _unreachable(pod: Document, url: str, err: Exception) -> ApiError:
    address = url.split("/")[2]
    return InternalError(
        f"the agent of node {_node_of(pod)} at {address} cannot be reached: {err or type(err).__name__}"
    )


def _passed_refusal(status: int, body: bytes) -> Answer:
    text = body.decode(errors="replace").strip()
    error = BadRequest(text) if 400 <= status < 500 else InternalError(text)
    return of_error(error)


async def _chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    async for chunk in response.content.iter_any():
        yield chunk


async def _join(request: Any, agent: aiohttp.ClientWebSocketResponse) -> web.WebSocketResponse:
    """Copy messages both ways until either side ends."""
    client = web.WebSocketResponse(protocols=[agent.protocol] if agent.protocol else (), max_msg_size=0, compress=False)
    try:
        await client.prepare(request)
        tasks = [
            asyncio.create_task(_copy(client, agent), name="tunnel-up"),
            asyncio.create_task(_copy(agent, client), name="tunnel-down"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        with contextlib.suppress(ConnectionResetError):
            await client.close(code=agent.close_code or 1000)
        await agent.close()
    return client


async def _copy(source: Any, sink: Any) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        elif message.type is aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)
