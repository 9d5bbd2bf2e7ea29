"""What the in-memory API is made of: the target of a request, selectors, watchers and their frames."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kubesvc.api.resources import BY_PATH, Key, Resource
from kubesvc.api.selectors import parse_label_selector
from kubesvc.api.status import NotFound

Document = dict[str, Any]
END = b""


@dataclass(frozen=True, slots=True)
class Target:
    resource: Resource
    namespace: str
    name: str
    subresource: str


@dataclass(slots=True)
class Watcher:
    resource: Resource
    namespace: str
    selected: Callable[[Document], bool]
    queue: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    seen: set[Key] = field(default_factory=set)

    def offer(self, type_: str, obj: Document) -> None:
        key = key_of(obj)
        if self.namespace and key.namespace != self.namespace:
            return
        matches = self.selected(obj) and type_ != "DELETED"
        if not matches and key not in self.seen:
            return
        sent = "DELETED" if not matches else ("MODIFIED" if key in self.seen else "ADDED")
        (self.seen.add if matches else self.seen.discard)(key)
        self.queue.put_nowait(frame(sent, obj))


def resource_of(obj: Document) -> Resource:
    """The resource of a document by its apiVersion and kind; ValueError when kubesvc has none."""
    for resource in BY_PATH.values():
        if (resource.group_version, resource.kind) == (obj.get("apiVersion"), obj.get("kind")):
            return resource
    raise ValueError(f"no resource for {obj.get('apiVersion')} {obj.get('kind')}")


def parse_target(path: str) -> Target:
    parts = path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and (group, version, rest[2]) in BY_PATH:
        namespace, rest = rest[1], rest[2:]
    resource = BY_PATH.get((group, version, rest[0]))
    if resource is None:
        raise NotFound("the server could not find the requested resource")
    return Target(resource, namespace, rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else "")


def selected_by(query: Mapping[str, str]) -> Callable[[Document], bool]:
    labels = parse_label_selector(query["labelSelector"]) if query.get("labelSelector") else None
    fields = [part.partition("=") for part in query.get("fieldSelector", "").split(",") if part]

    def matches(obj: Document) -> bool:
        if labels is not None and not labels.matches(obj["metadata"].get("labels") or {}):
            return False
        return all(_field(obj, name) == value.removeprefix("=") for name, _, value in fields)

    return matches


def _field(obj: Document, path: str) -> str:
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


async def frames(watcher: Watcher) -> AsyncIterator[bytes]:
    """The watcher's frames until its stream is ended."""
    while (encoded := await watcher.queue.get()) != END:
        yield encoded


def frame(type_: str, obj: Document) -> bytes:
    return msgspec.json.encode({"type": type_, "object": obj})


def key_of(obj: Document) -> Key:
    meta = obj["metadata"]
    return Key(meta.get("namespace", ""), meta["name"])
