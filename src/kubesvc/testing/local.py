"""A small Kubernetes API in memory: for testing clients, controllers, proxies and DNS without a server.

It keeps objects and a revision counter and speaks through the `Transport` protocol: create, get,
list, update, merge and JSON patch at the top level, delete with finalizers and grace, watch with
selectors, watch-list and bookmarks. It does not validate, default or authenticate; the real server
does that and has tests of its own.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from kubesvc.api.patch import apply_merge_patch
from kubesvc.api.resources import Key, Resource
from kubesvc.api.status import AlreadyExists, ApiError, BadRequest, Conflict, Expired, MethodNotAllowed, NotFound
from kubesvc.client.errors import ConnectionFailed
from kubesvc.client.transport import NO_QUERY, Response
from kubesvc.testing.local_parts import (
    END,
    Document,
    Target,
    Watcher,
    frame,
    frames,
    key_of,
    parse_target,
    resource_of,
    selected_by,
)


@dataclass(frozen=True, slots=True)
class Call:
    """One request the transport has seen."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Document | None


class LocalTransport:
    """The in-memory API; `calls` records the requests, `put`, `remove` and `documents` work from the outside."""

    def __init__(self, *objects: Document, watch_list: bool = True) -> None:
        self.calls: list[Call] = []
        self.revision = 100
        self.oldest_revision = 0
        self._objects: dict[Resource, dict[Key, Document]] = {}
        self._log: list[tuple[int, Resource, str, Document]] = []
        self._watchers: list[Watcher] = []
        self._watch_list = watch_list
        self._reachable = True
        self._refusals: list[tuple[Callable[[Call], bool], ApiError]] = []
        for obj in objects:
            self.put(obj)

    # The outside: what a test does

    def put(self, obj: Document) -> Document:
        """Create or replace an object given as a document with apiVersion and kind; returns what is stored."""
        resource = resource_of(obj)
        stored = copy.deepcopy(obj)
        old = self._bucket(resource).get(key_of(stored))
        return self._store(resource, stored, old)

    def remove(self, resource: Resource, name: str, namespace: str = "") -> None:
        """Delete an object at once, finalizers or not."""
        self._drop(resource, Key(namespace, name))

    def documents(self, resource: Resource, namespace: str | None = None) -> list[Document]:
        """Copies of all objects of a resource, in the order they were created."""
        return [
            copy.deepcopy(obj)
            for key, obj in self._bucket(resource).items()
            if namespace is None or key.namespace == namespace
        ]

    def document(self, resource: Resource, name: str, namespace: str = "") -> Document | None:
        """A copy of one object, or None."""
        return copy.deepcopy(self._bucket(resource).get(Key(namespace, name)))

    def break_watches(self) -> None:
        """End all open watches in an orderly way."""
        for watcher in self._watchers:
            watcher.queue.put_nowait(END)

    def compact(self) -> None:
        """Forget the history: a watch from before now is answered 410 Expired."""
        self.oldest_revision = self.revision
        self._log.clear()

    def set_reachable(self, *, reachable: bool) -> None:
        """While not reachable, every request fails and open watches break."""
        self._reachable = reachable
        if not reachable:
            self.break_watches()

    def refuse(self, when: Callable[[Call], bool], error: ApiError) -> None:
        """Answer the next request for which `when` holds with `error`, once."""
        self._refusals.append((when, error))

    def send_raw(self, resource: Resource, type_: str, raw: bytes) -> None:
        """Send a watch frame whose object is `raw`, which need not be sensible."""
        for watcher in self._watchers:
            if watcher.resource == resource:
                watcher.queue.put_nowait(b'{"type":"%s","object":%s}' % (type_.encode(), raw))

    # The inside: the Transport protocol

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NO_QUERY,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Response:
        await asyncio.sleep(0)
        if not self._reachable:
            raise ConnectionFailed(f"{method} {path}: unreachable")
        document = msgspec.json.decode(body) if body else None
        call = Call(method, path, dict(query), copy.deepcopy(document))
        self.calls.append(call)
        try:
            self._maybe_refuse(call)
            answer = self._handle(method, parse_target(path), query, document, content_type)
        except ApiError as err:
            return Response(err.code, msgspec.json.encode(err.to_status()))
        return Response(201 if method == "POST" else 200, msgspec.json.encode(answer))

    @asynccontextmanager
    async def stream(self, path: str, *, query: Mapping[str, str] = NO_QUERY) -> AsyncIterator[AsyncIterator[bytes]]:
        await asyncio.sleep(0)
        if not self._reachable:
            raise ConnectionFailed(f"WATCH {path}: unreachable")
        call = Call("WATCH", path, dict(query), None)
        self.calls.append(call)
        self._maybe_refuse(call)
        watcher = self._open(parse_target(path), query)
        self._watchers.append(watcher)
        try:
            yield frames(watcher)
        finally:
            self._watchers.remove(watcher)

    async def close(self) -> None:
        self.break_watches()

    def _maybe_refuse(self, call: Call) -> None:
        for index, (when, error) in enumerate(self._refusals):
            if when(call):
                del self._refusals[index]
                raise error

    def _open(self, target: Target, query: Mapping[str, str]) -> Watcher:
        watcher = Watcher(target.resource, target.namespace, selected_by(query))
        initial = query.get("sendInitialEvents") == "true"
        if initial and not self._watch_list:
            raise BadRequest("sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
        since = query.get("resourceVersion", "")
        if initial or since in ("", "0"):
            for obj in self._bucket(target.resource).values():
                watcher.offer("ADDED", obj)
            if initial:
                watcher.queue.put_nowait(self._bookmark(target.resource))
            return watcher
        if int(since) < self.oldest_revision:
            raise Expired(f"too old resource version: {since} ({self.oldest_revision})")
        watcher.seen = {key for key, obj in self._bucket(target.resource).items() if watcher.selected(obj)}
        for revision, resource, type_, obj in self._log:
            if revision > int(since) and resource == target.resource:
                if type_ == "ADDED":
                    watcher.seen.discard(key_of(obj))
                watcher.seen |= {key_of(obj)} if type_ == "DELETED" else set()
                watcher.offer(type_, obj)
        return watcher

    def _bookmark(self, resource: Resource) -> bytes:
        return frame(
            "BOOKMARK",
            {
                "kind": resource.kind,
                "apiVersion": resource.group_version,
                "metadata": {
                    "resourceVersion": str(self.revision),
                    "annotations": {"k8s.io/initial-events-end": "true"},
                },
            },
        )

    def _handle(
        self, method: str, target: Target, query: Mapping[str, str], body: Document | None, content_type: str
    ) -> Document:
        if method == "POST":
            return self._create(target, body or {})
        if method == "GET" and not target.name:
            return self._list(target, query)
        old = self._bucket(target.resource).get(Key(target.namespace, target.name))
        if old is None:
            raise NotFound(f'{target.resource.group_resource} "{target.name}" not found')
        match method:
            case "GET":
                return old
            case "PUT":
                return self._update(target, old, body or {})
            case "PATCH":
                return self._patch(target, old, body, content_type)
            case "DELETE":
                return self._delete(target, old, body or {})
        raise MethodNotAllowed(f"{method} is not supported")

    def _list(self, target: Target, query: Mapping[str, str]) -> Document:
        selected = selected_by(query)
        items = [
            obj
            for key, obj in self._bucket(target.resource).items()
            if (not target.namespace or key.namespace == target.namespace) and selected(obj)
        ]
        return {
            "kind": f"{target.resource.kind}List",
            "apiVersion": target.resource.group_version,
            "metadata": {"resourceVersion": str(self.revision)},
            "items": items,
        }

    def _create(self, target: Target, body: Document) -> Document:
        if target.subresource == "binding":
            return self._bind(target, body)
        if target.subresource == "token":
            return body | {
                "status": {"token": f"token-of-{target.name}", "expirationTimestamp": "2036-01-01T00:00:00Z"}
            }
        meta = body.setdefault("metadata", {})
        if target.resource.namespaced:
            meta.setdefault("namespace", target.namespace)
        if not meta.get("name"):
            meta["name"] = f"{meta['generateName']}{self.revision:05d}"
        if key_of(body) in self._bucket(target.resource):
            raise AlreadyExists(f'{target.resource.group_resource} "{meta["name"]}" already exists')
        return self._store(target.resource, body, None)

    def _bind(self, target: Target, body: Document) -> Document:
        pod = self._bucket(target.resource)[Key(target.namespace, target.name)]
        bound = copy.deepcopy(pod)
        bound.setdefault("spec", {})["nodeName"] = body["target"]["name"]
        self._store(target.resource, bound, pod)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}

    def _update(self, target: Target, old: Document, body: Document) -> Document:
        sent = body["metadata"].get("resourceVersion")
        if sent and sent != old["metadata"]["resourceVersion"]:
            raise Conflict(
                f"Operation cannot be fulfilled on {target.resource.group_resource} "
                f'"{target.name}": the object has been modified; please apply your changes to the latest version '
                "and try again"
            )
        if target.subresource == "status":
            body = copy.deepcopy(old) | {"status": body.get("status", {})}
        return self._store(target.resource, body, old)

    def _patch(self, target: Target, old: Document, patch: Any, content_type: str) -> Document:
        if "json-patch" in content_type:
            raise BadRequest("the in-memory API does not apply JSON patches")
        if target.subresource == "status":
            patch = {name: value for name, value in patch.items() if name in ("status", "metadata")}
        sent = (patch.get("metadata") or {}).get("resourceVersion")
        if sent and sent != old["metadata"]["resourceVersion"]:
            raise Conflict(f'Operation cannot be fulfilled on {target.resource.group_resource} "{target.name}"')
        return self._store(target.resource, apply_merge_patch(old, patch), old)

    def _delete(self, target: Target, old: Document, options: Document) -> Document:
        meta = old["metadata"]
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != meta["uid"]:
            raise Conflict(f"the UID in the precondition ({uid}) does not match the UID in record ({meta['uid']})")
        grace = options.get("gracePeriodSeconds")
        if target.resource.plural == "pods" and old.get("spec", {}).get("nodeName") and grace is None:
            grace = old["spec"].get("terminationGracePeriodSeconds", 30)
        if meta.get("finalizers") or (target.resource.plural == "pods" and grace):
            marked = copy.deepcopy(old)
            marked["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
            marked["metadata"]["deletionGracePeriodSeconds"] = grace or 0
            return self._store(target.resource, marked, old)
        self._drop(target.resource, key_of(old))
        return old

    def _store(self, resource: Resource, new: Document, old: Document | None) -> Document:
        self.revision += 1
        new = copy.deepcopy(new)
        meta = new.setdefault("metadata", {})
        new.setdefault("apiVersion", resource.group_version)
        new.setdefault("kind", resource.kind)
        meta["uid"] = old["metadata"]["uid"] if old else meta.get("uid") or str(UUID(int=self.revision))
        meta.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        meta["resourceVersion"] = str(self.revision)
        if old is not None and meta.get("deletionTimestamp") and not meta.get("finalizers"):
            waits_for_kubelet = resource.plural == "pods" and meta.get("deletionGracePeriodSeconds")
            if not waits_for_kubelet and old["metadata"].get("finalizers"):
                self._drop(resource, key_of(new))
                return new
        if "spec" in new:
            before = old["metadata"].get("generation", 1) if old else 0
            changed = old is None or old.get("spec") != new["spec"]
            meta["generation"] = before + 1 if changed else before
        self._bucket(resource)[key_of(new)] = new
        self._tell(resource, "MODIFIED" if old else "ADDED", new)
        return copy.deepcopy(new)

    def _drop(self, resource: Resource, key: Key) -> None:
        gone = self._bucket(resource).pop(key, None)
        if gone is None:
            return
        self.revision += 1
        last = copy.deepcopy(gone)
        last["metadata"]["resourceVersion"] = str(self.revision)
        self._tell(resource, "DELETED", last)

    def _tell(self, resource: Resource, type_: str, obj: Document) -> None:
        self._log.append((self.revision, resource, type_, copy.deepcopy(obj)))
        for watcher in self._watchers:
            if watcher.resource == resource:
                watcher.offer(type_, obj)

    def _bucket(self, resource: Resource) -> dict[Key, Document]:
        return self._objects.setdefault(resource, {})
