"""The API over real TLS on loopback: bodies, streams, tunnels into pods, the end."""

import asyncio
import gzip
import io
import json
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.unit.apiserver.world import TOKENS

from kubesvc.apiserver.run import ApiServerOptions, run
from kubesvc.cluster.pki import Site, write_pki

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
EXEC = f"{PODS}/p/exec?command=sh&stdin=true&stdout=true"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki") / "pki"
    write_pki(directory, [Site("server", "kube-apiserver", ("localhost",), (IPv4Address("127.0.0.1"),))])
    return directory


@dataclass
class Served:
    """A running server and a client that trusts it and is an administrator."""

    url: str
    client: aiohttp.ClientSession
    task: "asyncio.Task[None]"

    async def document(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        async with self.client.request(method, self.url + path, json=body, headers={"Content-Type": kind}) as response:
            return response.status, await response.json()


@pytest.fixture
async def served(tmp_path: Path, pki: Path) -> AsyncIterator[Served]:
    (tmp_path / "tokens.json").write_text(json.dumps(TOKENS))
    (tmp_path / "kubelet-token").write_text("agent-secret\n")
    listener = socket.create_server(("127.0.0.1", 0))
    options = ApiServerOptions(
        tls_cert=pki / "server.crt", tls_key=pki / "server.key", ca_cert=pki / "ca.crt",
        tokens_file=tmp_path / "tokens.json", database=tmp_path / "db", sa_signing_key=pki / "sa.key",
        listeners=(listener,), kubelet_token_file=tmp_path / "kubelet-token",
    )  # fmt: skip
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    task = asyncio.create_task(run(options), name="apiserver")
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(pki / "ca.crt")))
    headers = {"Authorization": "Bearer admin", "Accept-Encoding": "identity"}
    async with aiohttp.ClientSession(connector=connector, headers=headers, auto_decompress=False) as client:
        yield Served(url, client, task)
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def agent(pki: Path) -> AsyncIterator[int]:
    """A node agent that echoes sessions and follows a log; the port it is on."""

    async def session(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await ws.prepare(request)
        await ws.send_str(f"{request.path_qs} {request.headers['Authorization']}")
        async for message in ws:
            if message.data == b"quit":
                break
            await ws.send_bytes(b"\x01" + message.data)
        return ws

    async def logs(request: web.Request) -> web.StreamResponse:
        if request.query.get("previous"):
            return web.Response(status=400, text="previous terminated container not found")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first line\n")
        if request.query.get("follow"):
            await asyncio.Event().wait()
        return response

    app = web.Application()
    app.router.add_get("/exec/default/p/c", session)
    app.router.add_get("/containerLogs/default/p/c", logs)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pki / "server.crt", pki / "server.key")
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def place_pod(served: Served, port: int) -> None:
    """A pod `p` with a container `c` on a node whose agent is on `port`."""
    await served.document("POST", "/api/v1/nodes", {"metadata": {"name": "n"}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    await served.document("PUT", "/api/v1/nodes/n/status", {"metadata": {"name": "n"}, "status": status})
    await served.document("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "kubesvc/echo"}]}
    code, made = await served.document("POST", PODS, {"metadata": {"name": "p"}, "spec": spec})
    assert code == 201, made


async def test_objects_travel_over_tls_and_warnings_with_them(served: Served) -> None:
    body = {"metadata": {"name": "x"}, "dtaa": 'a "quoted" one'}
    async with served.client.post(served.url + CONFIGMAPS, json=body) as response:
        assert (response.status, response.content_type) == (201, "application/json")
        assert response.headers["Warning"] == r'299 - "unknown field \"dtaa\""'
        made = await response.json()
    assert await served.document("GET", f"{CONFIGMAPS}/x") == (200, made)


async def test_a_stranger_is_told_so(served: Served) -> None:
    async with served.client.get(served.url + CONFIGMAPS, headers={"Authorization": "Bearer wrong"}) as response:
        assert (response.status, (await response.json())["reason"]) == (401, "Unauthorized")


async def test_there_are_no_custom_resources_but_the_question_has_an_answer(served: Served) -> None:
    # kubectl asks this when a manifest's kind is misspelt, and must come to the point: no matches for kind.
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    code, found = await served.document("GET", path)
    assert (code, found["kind"], found["items"]) == (200, "CustomResourceDefinitionList", [])
    assert (await served.document("POST", path, {}))[0] == 405


async def test_large_answers_are_compressed_for_those_who_can(served: Served) -> None:
    await served.document("POST", CONFIGMAPS, {"metadata": {"name": "x"}, "data": {"a": "y" * 200_000}})
    async with served.client.get(served.url + CONFIGMAPS, headers={"Accept-Encoding": "gzip"}) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert json.loads(gzip.decompress(await response.read()))["kind"] == "ConfigMapList"
    async with served.client.get(served.url + CONFIGMAPS) as response:
        assert "Content-Encoding" not in response.headers


async def test_a_body_that_is_too_large_is_refused(served: Served) -> None:
    body = io.BytesIO(b'{"data": "' + b"y" * (3 << 20) + b'"}')
    async with served.client.post(served.url + CONFIGMAPS, data=body) as response:
        assert (response.status, (await response.json())["reason"]) == (413, "RequestEntityTooLarge")


async def test_a_watch_streams_and_ends_with_the_server(served: Served) -> None:
    async with served.client.get(f"{served.url}{CONFIGMAPS}?watch=1&resourceVersion=0") as response:
        await served.document("POST", CONFIGMAPS, {"metadata": {"name": "x"}})
        event = json.loads(await response.content.readline())
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "x")
        served.task.cancel()
        assert await response.content.read() == b""


async def test_a_session_passes_through_to_the_agent(served: Served, agent: int) -> None:
    await place_pod(served, agent)
    protocols = ("v5.channel.k8s.io", "v4.channel.k8s.io")
    async with served.client.ws_connect(served.url + EXEC, protocols=protocols) as ws:
        assert ws.protocol == "v5.channel.k8s.io"
        asked = "/exec/default/p/c?command=sh&stdin=true&stdout=true"
        assert await ws.receive_str() == f"{asked} Bearer agent-secret"
        await ws.send_bytes(b"\x00hello")
        assert await ws.receive_bytes() == b"\x01\x00hello"
        await ws.send_bytes(b"quit")
        assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_a_log_is_followed(served: Served, agent: int) -> None:
    await place_pod(served, agent)
    async with served.client.get(f"{served.url}{PODS}/p/log?follow=true") as response:
        assert (response.content_type, await response.content.readline()) == ("text/plain", b"first line\n")
    async with served.client.get(f"{served.url}{PODS}/p/log") as response:
        assert await response.read() == b"first line\n"


async def test_the_agents_refusal_is_a_status(served: Served, agent: int) -> None:
    await place_pod(served, agent)
    code, status = await served.document("GET", f"{PODS}/p/log?previous=true")
    assert (code, status["message"]) == (400, "previous terminated container not found")
    code, status = await served.document("GET", f"{PODS}/p/log?container=d")
    assert (code, status["message"]) == (400, "container d is not valid for pod p")


async def test_an_agent_that_is_away_is_named(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    await place_pod(served, port)
    code, status = await served.document("GET", f"{PODS}/p/log")
    assert (code, status["reason"]) == (500, "InternalError")
    assert status["message"].startswith(f"the agent of node n at 127.0.0.1:{port} cannot be reached: ")
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await served.client.ws_connect(served.url + EXEC)
    assert caught.value.status == 500


async def test_what_kubectl_asks_again_without_websockets_tells_of_the_container(served: Served, agent: int) -> None:
    await place_pod(served, agent)
    code, status = await served.document("POST", f"{EXEC}&container=d")
    assert (code, status["message"]) == (400, "container d is not valid for pod p")
    waiting = {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ErrImagePull"}}}]}
    await served.document("PATCH", f"{PODS}/p/status", {"status": waiting}, "application/merge-patch+json")
    code, status = await served.document("POST", EXEC)
    assert (code, status["message"]) == (400, 'unable to upgrade connection: container not found ("c")')


async def test_a_session_without_websockets_is_refused_with_the_reason(served: Served, agent: int) -> None:
    await place_pod(served, agent)
    code, status = await served.document("POST", EXEC)
    assert (code, status["reason"]) == (400, "BadRequest")
    assert "WebSocket" in status["message"]
