"""The in-memory API behind HTTP on loopback, as a server in trouble: slow, deaf, or silent in mid-watch."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from kubesvc.api.status import ApiError
from kubesvc.testing.local import LocalTransport

_PIECE = 512


class SlowApi:
    """What goes wrong is switched on and off by its attributes, for requests from then on."""

    def __init__(self, api: LocalTransport) -> None:
        self.pause = 0.0
        """Seconds between two pieces of 512 bytes of any answer."""
        self.deaf = False
        """Whether requests are taken and never answered."""
        self.given_up = 0
        """How many requests the client has given up."""
        self.most_open = 0
        """How many requests there were at a time, at most."""
        self._api = api
        self._open = 0
        self._watches: set[asyncio.Event] = set()

    def stall(self) -> None:
        """Let the watches that are open now stay open, and say nothing more on them, not even a bookmark."""
        for watch in self._watches:
            watch.clear()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The server's address."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            if self.deaf:
                await asyncio.Event().wait()
            if request.query.get("watch"):
                return await self._watch(request)
            return await self._answer(request)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        finally:
            self._open -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        found = await self._api.request(
            request.method, request.path, query=dict(request.query), body=await request.read() or None
        )
        answer = web.StreamResponse(status=found.status)
        await answer.prepare(request)
        await self._send(answer, found.body)
        return answer

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        talking = asyncio.Event()
        talking.set()
        self._watches.add(talking)
        answer = web.StreamResponse()
        try:
            async with self._api.stream(request.path, query=dict(request.query)) as frames:
                await answer.prepare(request)
                async for frame in frames:
                    await talking.wait()
                    await self._send(answer, frame + b"\n")
        except ApiError as err:
            return web.Response(status=err.code, text=json.dumps(err.to_status()))
        finally:
            self._watches.discard(talking)
        return answer

    async def _send(self, answer: web.StreamResponse, body: bytes) -> None:
        for start in range(0, len(body), _PIECE):
            await answer.write(body[start : start + _PIECE])
            await asyncio.sleep(self.pause)
