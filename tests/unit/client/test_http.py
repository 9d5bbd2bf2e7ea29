"""The HTTPS transport against a real server on loopback: frames, refusals, silence."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from kubesvc.api.resources import SERVICES
from kubesvc.api.status import Forbidden, InternalError
from kubesvc.client.errors import ConnectionFailed
from kubesvc.client.http import HttpTransport
from kubesvc.client.kubeconfig import Access
from kubesvc.client.rest import Client

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, **access: object) -> AsyncIterator[Client]:
    """A client of a loopback server that answers everything with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with Client(HttpTransport(Access(f"http://127.0.0.1:{port}", **access))) as client:  # type: ignore[arg-type]
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
