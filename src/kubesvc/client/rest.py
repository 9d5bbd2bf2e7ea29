"""Typed requests to the Kubernetes API (API concepts: verbs, patch types, chunked lists, watch)."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, Literal, Self, TypeVar, overload

import msgspec

from kubesvc.api.resources import Resource
from kubesvc.api.status import parse_status
from kubesvc.client.errors import Garbled
from kubesvc.client.http import HttpTransport, error_from
from kubesvc.client.kubeconfig import read_in_cluster, read_kubeconfig
from kubesvc.client.transport import NO_QUERY, Transport

T = TypeVar("T")
Document = dict[str, Any]
PatchKind = Literal["merge", "json", "strategic", "apply"]

_PATCH_TYPES: dict[str, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_STRICT = {"fieldValidation": "Strict"}
PAGE = 500
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises over bytes that are no JSON, no text, of another shape, or nested without end."""


class Listing(Generic[T]):
    """The objects of a list, the bytes that could not be decoded, and the revision they stand for."""

    def __init__(self, items: list[T], resource_version: str, bad: list[tuple[bytes, str]]) -> None:
        self.items = items
        self.resource_version = resource_version
        self.bad = bad


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    items: list[msgspec.Raw] | None = None
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)


class WatchEvent(msgspec.Struct, frozen=True):
    """One frame of a watch; `object` is still encoded."""

    type: str
    object: msgspec.Raw


_list_decoder = msgspec.json.Decoder(_List)
_event_decoder = msgspec.json.Decoder(WatchEvent)
_document_decoder = msgspec.json.Decoder(dict[str, Any])


class Client:
    """The API of one server, as one identity. Refusals raise `ApiError`, silence raises `ConnectionFailed`."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    @classmethod
    def from_kubeconfig(
        cls, path: str | os.PathLike[str], *, context: str | None = None, user_agent: str = "kubesvc"
    ) -> Self:
        return cls(HttpTransport(read_kubeconfig(path, context=context), user_agent=user_agent))

    @classmethod
    def from_in_cluster(cls, *, user_agent: str = "kubesvc") -> Self:
        return cls(HttpTransport(read_in_cluster(), user_agent=user_agent))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.transport.close()

    @overload
    async def get(self, resource: Resource, name: str, *, namespace: str = "", subresource: str = "") -> Document: ...
    @overload
    async def get(
        self, resource: Resource, name: str, *, namespace: str = "", subresource: str = "", view: type[T]
    ) -> T: ...
    async def get(
        self, resource: Resource, name: str, *, namespace: str = "", subresource: str = "", view: Any = dict
    ) -> Any:
        path = resource.path(namespace, name, subresource)
        return _read(msgspec.json.Decoder(view), await self.call("GET", path), path)

    @overload
    async def list(
        self, resource: Resource, *, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> Listing[Document]: ...
    @overload
    async def list(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        view: type[T],
    ) -> Listing[T]: ...
    async def list(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        view: Any = dict,
    ) -> Any:
        """All objects, fetched in pages; one that does not decode lands in `bad` and costs only itself."""
        whole: Listing[Any] = Listing([], "", [])
        selectors = selector_query(label_selector, field_selector)
        async for page in self.pages(resource, view, namespace=namespace, selectors=selectors):
            whole.items += page.items
            whole.bad += page.bad
            whole.resource_version = page.resource_version
        return whole

    async def pages(
        self, resource: Resource, view: type[T], *, namespace: str = "", selectors: Mapping[str, str] = NO_QUERY
    ) -> AsyncIterator[Listing[T]]:
        """The pages of such a list, for those who need not hold all objects at once; there is at least one."""
        query = {"limit": str(PAGE), **selectors}
        path, decoder = resource.path(namespace), msgspec.json.Decoder(view)
        while True:
            page = _read(_list_decoder, await self.call("GET", path, query=query), path)
            listing: Listing[T] = Listing([], page.metadata.resource_version, [])
            for raw in page.items or ():
                try:
                    listing.items.append(decoder.decode(raw))
                except UNREADABLE as err:
                    listing.bad.append((bytes(raw), str(err)))
            yield listing
            if not page.metadata.continue_:
                return
            query["continue"] = page.metadata.continue_

    async def create(
        self,
        resource: Resource,
        obj: Any,
        *,
        namespace: str = "",
        name: str = "",
        subresource: str = "",
        strict: bool = False,
    ) -> Document:
        """POST `obj` (a document or a struct); `name` and `subresource` address e.g. `pods/binding`.

        `strict` has fields refused that the server does not know.
        """
        if isinstance(obj, dict):
            namespace = namespace or obj.get("metadata", {}).get("namespace", "")
        path = resource.path(namespace, name or None, subresource or None)
        query = _STRICT if strict else NO_QUERY
        return self._document(await self.call("POST", path, query=query, body=msgspec.json.encode(obj)))

    async def update(self, resource: Resource, obj: Document, *, subresource: str = "") -> Document:
        meta = obj["metadata"]
        path = resource.path(meta.get("namespace", ""), meta["name"], subresource or None)
        return self._document(await self.call("PUT", path, body=msgspec.json.encode(obj)))

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        kind: PatchKind = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        strict: bool = False,
    ) -> Document:
        query = dict(_STRICT) if strict else {}
        if field_manager:
            query["fieldManager"] = field_manager
        if force:
            query["force"] = "true"
        return self._document(
            await self.call(
                "PATCH",
                resource.path(namespace, name, subresource or None),
                query=query,
                body=msgspec.json.encode(patch),
                content_type=_PATCH_TYPES[kind],
            )
        )

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str = "",
        grace_seconds: int | None = None,
        uid: str | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] | None = None,
    ) -> Document:
        options: Document = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if propagation is not None:
            options["propagationPolicy"] = propagation
        path = resource.path(namespace, name)
        return self._document(await self.call("DELETE", path, body=msgspec.json.encode(options)))

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        initial_events: bool = False,
        timeout_seconds: int = 0,
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """Follow the changes after `resource_version`, bookmarks included.

        With `initial_events` the server first sends everything it has as ADDED and marks the end by
        a bookmark annotated `k8s.io/initial-events-end` (KEP-3157). An ERROR frame raises the ApiError
        it carries.
        """
        query = {"watch": "1", "allowWatchBookmarks": "true"} | selector_query(label_selector, field_selector)
        if resource_version:
            query["resourceVersion"] = resource_version
        if initial_events:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        if timeout_seconds:
            query["timeoutSeconds"] = str(timeout_seconds)
        async with self.transport.stream(resource.path(namespace), query=query) as frames:
            yield _events(frames)

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NO_QUERY,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        """One request at a path of the caller's own; the body of a 2xx answer, else the ApiError."""
        response = await self.transport.request(
            method, path, query=query, body=body, content_type=content_type, accept=accept
        )
        if not 200 <= response.status < 300:
            raise error_from(response)
        return response.body

    @staticmethod
    def _document(body: bytes) -> Document:
        return _read(_document_decoder, body, "the answer")


def selector_query(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {}
    if label_selector:
        query["labelSelector"] = label_selector
    if field_selector:
        query["fieldSelector"] = field_selector
    return query


async def _events(frames: AsyncIterator[bytes]) -> AsyncIterator[WatchEvent]:
    async for frame in frames:
        event = _read(_event_decoder, frame, "a watch event")
        if event.type == "ERROR":
            status = _read(_document_decoder, event.object, "a watch error")
            code = status.get("code")
            raise parse_status(status, code=code if isinstance(code, int) else 500)
        yield event


def _read(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw, what: str) -> T:
    try:
        return decoder.decode(body)
    except UNREADABLE as err:
        raise Garbled(f"{what} cannot be read: {err}") from err
