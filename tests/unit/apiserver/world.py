"""A whole API without HTTP: calls go in, replies come out, time is virtual, the store is a file in tmp_path."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from kubesvc import observe
from kubesvc.apiserver.answers import Answer, Reply, Stream
from kubesvc.apiserver.api import Api
from kubesvc.apiserver.bootstrap import Bootstrap
from kubesvc.apiserver.objects import Objects
from kubesvc.apiserver.request import Call, parse_query, parse_target
from kubesvc.apiserver.run import ApiServerOptions, build_api, build_bootstrap, build_kubelets, build_objects
from kubesvc.store.sqlite import SqliteBackend
from kubesvc.testing.clock import VirtualClock

TOKENS = {
    "admin": {"user": "admin", "groups": ["system:masters"]},
    "joe": {"user": "joe", "groups": []},
}
Document = dict[str, Any]


@dataclass
class World:
    """One API server's inside."""

    api: Api
    objects: Objects
    backend: SqliteBackend
    clock: VirtualClock
    options: ApiServerOptions
    bootstrap: Bootstrap
    token: str = "admin"
    warnings: list[str] = field(default_factory=list)

    async def reply(
        self, method: str, url: str, body: Any = None, *, content_type: str = "application/json", accept: str = "",
        token: str | None = None, headers: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        path, _, query = url.partition("?")
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        token = self.token if token is None else token
        sent = {"Content-Type": content_type, "Accept": accept, **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        call = Call(method, path, parse_query(query), sent, raw, target=parse_target(path), query_string=query)
        reply = await self.api.handle(call)
        self.warnings = call.warnings
        return reply

    async def call(self, method: str, url: str, body: Any = None, **more: Any) -> tuple[int, Document]:
        """The code and the document of an answer."""
        reply = await self.reply(method, url, body, **more)
        assert isinstance(reply, Answer)
        return reply.status, json.loads(reply.body)

    async def get(self, url: str, **more: Any) -> Document:
        code, document = await self.call("GET", url, **more)
        assert code == 200, document
        return document

    async def create(self, url: str, body: Document, **more: Any) -> Document:
        code, document = await self.call("POST", url, body, **more)
        assert code == 201, document
        return document

    async def refusal(self, method: str, url: str, body: Any = None, **more: Any) -> tuple[int, str, str]:
        """Code, reason and message of a refusal."""
        code, document = await self.call(method, url, body, **more)
        assert document["kind"] == "Status", document
        return code, document["reason"], document["message"]

    async def watch(self, url: str, **more: Any) -> "Lines":
        reply = await self.reply("GET", url, **more)
        assert isinstance(reply, Stream), reply
        return Lines(reply)


class Lines:
    """The events of a watch, one by one."""

    def __init__(self, stream: Stream) -> None:
        self._chunks = stream.chunks
        self._waiting: list[Document] = []

    async def next(self) -> Document:
        while not self._waiting:
            chunk = await anext(self._chunks)
            self._waiting += [json.loads(line) for line in chunk.splitlines()]
        return self._waiting.pop(0)

    async def names(self, count: int) -> list[tuple[str, str]]:
        """Type and object name of the next events."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]

    async def ended(self) -> bool:
        return await anext(self._chunks, None) is None

    async def close(self) -> None:
        await self._chunks.aclose()


def make_options(directory: Path, **more: Any) -> ApiServerOptions:
    (directory / "tokens.json").write_text(json.dumps(TOKENS))
    (directory / "sa.key").write_bytes(b"a secret of more than thirty-two bytes")
    return ApiServerOptions(
        tls_cert=directory / "tls.crt", tls_key=directory / "tls.key", ca_cert=directory / "tls.crt",
        tokens_file=directory / "tokens.json", database=directory / "db", sa_signing_key=directory / "sa.key",
        advertise_address="192.0.2.1", **more,
    )  # fmt: skip


async def open_world(options: ApiServerOptions) -> World:
    """An API server's inside on the options' database, bootstrapped."""
    clock, backend = VirtualClock(), SqliteBackend.open(options.database)
    objects = build_objects(backend, options, clock, Random(7))
    api = build_api(objects, build_kubelets(objects, options), options, clock, observe.Registry())
    bootstrap = build_bootstrap(objects, options)
    await bootstrap.run(clock.now())
    return World(api, objects, backend, clock, options, bootstrap)
