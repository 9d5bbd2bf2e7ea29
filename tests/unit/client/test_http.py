"""The HTTPS transport against a real server on loopback: frames, refusals, silence."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from kubesvc.api.resources import SERVICES
from kubesvc.api.status import Forbidden, InternalError
from kubesvc.api.views import Service
from kubesvc.client import http
from kubesvc.client.errors import ConnectionFailed, Garbled, KubeconfigError
from kubesvc.client.http import PATIENCE, HttpTransport, Patience
from kubesvc.client.kubeconfig import Access, read_kubeconfig
from kubesvc.client.rest import Client

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, patience: Patience = PATIENCE, **access: object) -> AsyncIterator[Client]:
    """A client of a loopback server that answers everything with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        server = Access(f"http://127.0.0.1:{port}", **access)  # type: ignore[arg-type]
        async with Client(HttpTransport(server, patience=patience)) as client:
            yield client
    finally:
        await runner.cleanup()


async def test_a_frame_larger_than_any_buffer_arrives_whole() -> None:
    name = "x" * 700_000

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        frame = b'{"type":"ADDED","object":{"metadata":{"name":"%s"}}}\n' % name.encode()
        await answer.write(frame[:1000])
        await answer.write(frame[1000:] + frame)
        return answer

    async with serving(handler) as client, client.watch(SERVICES) as events:
        sizes = [len(bytes(event.object)) async for event in events]
    assert len(sizes) == 2
    assert min(sizes) > 700_000


async def test_a_refused_watch_raises_what_the_server_said() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response(Forbidden("services is forbidden").to_status(), status=403)

    async with serving(handler) as client:
        with pytest.raises(Forbidden, match="services is forbidden"):
            async with client.watch(SERVICES):
                pass


async def test_an_answer_that_is_no_status_keeps_its_code_and_text() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="proxy is sad")

    async with serving(handler) as client:
        with pytest.raises(InternalError, match="proxy is sad"):
            await client.get(SERVICES, "web", namespace="default")


async def test_a_stream_cut_in_the_middle_is_a_failed_connection() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b'{"type":"ADDED","obj')
        assert request.transport is not None
        request.transport.abort()
        return answer

    async with serving(handler) as client:
        with pytest.raises(ConnectionFailed):
            async with client.watch(SERVICES) as events:
                async for _ in events:
                    pass


async def test_nobody_listening_is_a_failed_connection() -> None:
    with socket.socket() as held:
        # Bound but not listening: nobody else can take the port meanwhile.
        held.bind(("127.0.0.1", 0))
        async with Client(HttpTransport(Access(f"http://127.0.0.1:{held.getsockname()[1]}"))) as client:
            with pytest.raises(ConnectionFailed, match="127.0.0.1"):
                await client.get(SERVICES, "web", namespace="default")


async def test_a_token_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    seen: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({})

    token = tmp_path / "token"
    token.write_text("first\n")
    async with serving(handler, token_file=token) as client:
        await client.get(SERVICES, "web", namespace="default")
        fresh = tmp_path / "fresh"
        fresh.write_text("second\n")
        fresh.rename(token)
        await client.get(SERVICES, "web", namespace="default")
    assert seen == ["Bearer first", "Bearer second"]


SHORT = Patience(request=0.5, watch=0.5, answer=20)


async def test_a_list_that_trickles_in_is_waited_for() -> None:
    body = b'{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"web","namespace":"default"}}]}'

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for start in range(0, len(body), 8):
            await answer.write(body[start : start + 8])
            await asyncio.sleep(SHORT.request / 8)
        return answer

    async with serving(handler, SHORT) as client:
        listing = await client.list(SERVICES)
    assert [item["metadata"]["name"] for item in listing.items] == ["web"]


async def test_a_server_that_takes_requests_and_never_answers_is_given_up() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async with serving(handler, SHORT) as client:
        with pytest.raises(ConnectionFailed, match="timed out|[Tt]imeout"):
            await client.get(SERVICES, "web", namespace="default")
        with pytest.raises(ConnectionFailed, match="timed out|[Tt]imeout"):
            async with client.watch(SERVICES):
                pass


async def test_a_watch_that_falls_silent_is_given_up_and_bookmarks_keep_it() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(6):
            await answer.write(b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}\n')
            await asyncio.sleep(SHORT.watch / 3)
        await asyncio.Event().wait()
        return answer

    seen = []
    async with serving(handler, SHORT) as client:
        with pytest.raises(ConnectionFailed, match="timed out|[Tt]imeout"):
            async with client.watch(SERVICES) as events:
                async for event in events:
                    seen += [event.type]
    assert seen == ["BOOKMARK"] * 6


async def test_a_watch_event_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LONGEST_FRAME", 1 << 20)

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with suppress(ConnectionError):
            while True:
                await answer.write(b"x" * 65536)
        return answer

    async with serving(handler) as client:
        with pytest.raises(ConnectionFailed, match="more than 1 MiB"):
            async with client.watch(SERVICES) as events:
                async for _ in events:
                    pass


async def test_a_token_file_that_is_away_for_a_moment_does_not_stop_anything(tmp_path: Path) -> None:
    seen: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({})

    token = tmp_path / "token"
    async with serving(handler, token_file=token) as client:
        with pytest.raises(ConnectionFailed, match="token"):
            await client.get(SERVICES, "web", namespace="default")
        token.write_text("first\n")
        await client.get(SERVICES, "web", namespace="default")
        token.unlink()
        await client.get(SERVICES, "web", namespace="default")
    assert seen == ["Bearer first", "Bearer first"]


GARBAGE = [b"no json", b'"\xff"', b"7", b"[]", b"", b"{", b'{"items":5,"spec":5,"metadata":5}', b"[" * 5000]


@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
async def test_an_answer_that_cannot_be_read_is_a_failed_connection(body: bytes) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    async with serving(handler) as client:
        with pytest.raises(Garbled):
            await client.list(SERVICES)
        with pytest.raises(Garbled):
            await client.get(SERVICES, "web", namespace="default", view=Service)


@pytest.mark.parametrize("details", [7, [], {"causes": 7}, {"causes": [7]}, None])
async def test_a_strange_status_is_still_a_refusal(details: object) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        status = {"kind": "Status", "reason": 5, "message": ["no"], "details": details, "code": 403}
        return web.json_response(status, status=403)

    async with serving(handler) as client:
        with pytest.raises(Forbidden):
            await client.get(SERVICES, "web", namespace="default")


@pytest.mark.parametrize("failure", [TimeoutError("consumer"), ConnectionResetError("consumer")])
async def test_what_a_watchs_consumer_raises_is_its_own(failure: Exception) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b'{"type":"ADDED","object":{"metadata":{"name":"web"}}}\n')
        return answer

    with pytest.raises(type(failure), match="consumer"):
        async with serving(handler) as client, client.watch(SERVICES) as events:
            async for _ in events:
                raise failure


@pytest.mark.parametrize(
    "ca", [b"no certificate", b"\x30\x82\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
async def test_a_certificate_authority_that_is_none_is_a_wrong_kubeconfig(ca: bytes, tmp_path: Path) -> None:
    file = tmp_path / "config"
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "it"}}],
        "clusters": [
            {
                "name": "it",
                "cluster": {
                    "server": "https://127.0.0.1:1",
                    "certificate-authority-data": base64.b64encode(ca).decode(),
                },
            }
        ],
    }
    file.write_text(json.dumps(document))
    async with Client(HttpTransport(read_kubeconfig(file))) as client:
        with pytest.raises(KubeconfigError, match=f"kubeconfig {file}: no certificates .*put the cluster's CA"):
            await client.list(SERVICES, view=Service)
