"""A cache of one resource that follows the API server: list, watch, bookmarks, relist on 410.

The first contents come as a watch-list (KEP-3157) where the server offers it, else as a paged list.
After that a single watch is kept, resumed from the last revision seen when it ends or breaks, and
started over when that revision is no longer kept. Subscribers are called in the event loop, in the
order of the revisions, and see a relist as the differences it makes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from sys import intern
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

import msgspec

from kubesvc.aio.backoff import backoff
from kubesvc.aio.clock import Clock, SystemClock
from kubesvc.aio.shares import Shares
from kubesvc.api.resources import Key, Resource
from kubesvc.api.status import ApiError, BadRequest, Expired, Invalid
from kubesvc.api.views import Partial
from kubesvc.client.errors import ConnectionFailed
from kubesvc.client.events import BURST, REFILL_SECONDS
from kubesvc.client.rest import UNREADABLE, Client, WatchEvent, selector_query
from kubesvc.observe import log

FIRST_DELAY = 0.02
MAX_DELAY = 5.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

_log = log("client.informer")


class Identity(Protocol):
    """The metadata without which no object can be cached."""

    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def resource_version(self) -> str: ...


class HasMetadata(Protocol):
    """Any view with `metadata`."""

    @property
    def metadata(self) -> Identity: ...


T = TypeVar("T", bound=HasMetadata)
Handler = Callable[[Key, T | None, T | None], None]
OnBadObject = Callable[[Key | None, str], None]


class Informer(Generic[T]):
    """Keeps `objects` equal to what the server has, and tells subscribers (key, old, new).

    An object that does not decode as `view` is reported to `on_bad_object` with its key (None where
    not even that could be read) and the reason; what was cached of it before stays. So is one over which
    a subscriber raises; the other subscribers see it all the same.

    `transform` may trade an object for a smaller one of the same view before it is cached, or for the one that
    is cached already, at the new revision. With it, the objects of every list reach subscribers one by one as
    they are read, and what is gone after them. `retain` trades after subscribers have seen the whole object, for
    consumers that keep what they need themselves; with it, this holds of the first list only.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        view: type[T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        clock: Clock | None = None,
        on_bad_object: OnBadObject | None = None,
        transform: Callable[[T], T] | None = None,
        retain: Callable[[T], T] | None = None,
    ) -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        self.last_contact = float("-inf")
        self.resource_version = ""
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._clock = clock or SystemClock()
        self._on_bad_object = on_bad_object
        self._transform = transform or (lambda obj: obj)
        self._is_thrifty = transform is not None
        self._retain = retain
        self._view = view
        self._decoder = msgspec.json.Decoder(view)
        self._objects: dict[Key, T] = {}
        self._handlers: list[Handler[T]] = []
        self._watch_list = True
        self._log_shares = Shares[Key | None](BURST, REFILL_SECONDS)

    @property
    def objects(self) -> Mapping[Key, T]:
        """The current cache, a read-only live view."""
        return MappingProxyType(self._objects)

    def subscribe(self, handler: Handler[T]) -> None:
        """Call `handler(key, old, new)` on each change from now on; `new` is None for a deletion."""
        self._handlers.append(handler)

    async def run(self) -> None:
        """Follow the server until cancelled."""
        failures = 0
        while True:
            before = self.last_contact
            reason: object = "it ended without a word"
            try:
                await self._follow()
            except Expired as err:
                self.resource_version = ""
                reason = err
            except (ConnectionFailed, ApiError, *UNREADABLE) as err:
                reason = err
            else:
                if self.last_contact != before:
                    failures = 0
                    continue
            failures = 1 if self.last_contact != before else failures + 1
            delay = backoff(failures, first=FIRST_DELAY, longest=MAX_DELAY)
            report = _log.info if failures >= 5 else _log.debug
            report("watch broke, trying again", resource=self.resource.plural, reason=reason, delay_s=delay)
            await self._clock.sleep(delay)

    async def _follow(self) -> None:
        """One watch, from its beginning to its orderly end."""
        if not self.resource_version and not self._watch_list:
            await self._relist()
        initial = not self.resource_version
        try:
            async with self._client.watch(
                self.resource,
                namespace=self._namespace,
                resource_version=self.resource_version,
                label_selector=self._label_selector,
                field_selector=self._field_selector,
                initial_events=initial,
            ) as events:
                if initial:
                    await self._replace_from(events)
                async for event in events:
                    self._take(event)
        except (BadRequest, Invalid) as err:
            if not initial:
                raise
            _log.debug("no watch-list here, using list", resource=self.resource.plural, reason=err)
            self._watch_list = False

    async def _relist(self) -> None:
        contents = _Contents(self._objects)
        revision = ""
        selectors = selector_query(self._label_selector, self._field_selector)
        async for page in self._client.pages(self.resource, self._view, namespace=self._namespace, selectors=selectors):
            for raw, reason in page.bad:
                contents.keep(self._report_bad(raw, reason))
            for obj in page.items:
                if obj.metadata.name:
                    self._gather(contents, obj)
            revision = page.resource_version
        self._replace(contents, revision)

    async def _replace_from(self, events: AsyncIterator[WatchEvent]) -> None:
        """Gather the initial events of a watch-list up to the bookmark that ends them."""
        contents = _Contents(self._objects)
        async for event in events:
            self.last_contact = self._clock.monotonic()
            if event.type == "BOOKMARK":
                meta = msgspec.json.decode(event.object, type=Partial).metadata
                if (meta.annotations or {}).get(INITIAL_EVENTS_END) == "true":
                    self._replace(contents, meta.resource_version)
                    return
                continue
            try:
                obj = self._decode(event.object)
            except UNREADABLE as err:
                contents.keep(self._report_bad(bytes(event.object), str(err)))
                continue
            if event.type == "DELETED":
                contents.remove(_key(obj.metadata))
            else:
                self._gather(contents, obj)
        raise ConnectionFailed(f"watch of {self.resource.plural} ended before its initial events did")

    def _gather(self, contents: "_Contents[T]", obj: T) -> None:
        key = _key(obj.metadata)
        contents.keep(key)
        old = self._objects.get(key)
        if old is not None and old.metadata.resource_version == obj.metadata.resource_version:
            return
        new = self._transform(obj)
        if new is old:
            return
        if self._is_thrifty or (self._retain and not contents.was_known):
            self._store(key, new)
        else:
            contents.changed[key] = new

    def _replace(self, contents: "_Contents[T]", resource_version: str) -> None:
        self.last_contact = self._clock.monotonic()
        for key in contents.missing:
            self._store(key, None)
        for key, obj in contents.changed.items():
            self._store(key, obj)
        self.resource_version = resource_version
        if not self.synced.is_set():
            _log.debug("synced", resource=self.resource.plural, objects=len(self._objects), revision=resource_version)
            self.synced.set()

    def _take(self, event: WatchEvent) -> None:
        self.last_contact = self._clock.monotonic()
        try:
            obj = self._decoder.decode(event.object) if event.type == "BOOKMARK" else self._decode(event.object)
        except UNREADABLE as err:
            if event.type == "BOOKMARK":
                self.resource_version = msgspec.json.decode(event.object, type=Partial).metadata.resource_version
            else:
                self._take_bad(event, str(err))
            return
        self.resource_version = obj.metadata.resource_version or self.resource_version
        if event.type != "BOOKMARK":
            self._store(_key(obj.metadata), None if event.type == "DELETED" else self._transform(obj))

    def _decode(self, raw: msgspec.Raw) -> T:
        obj = self._decoder.decode(raw)
        if not obj.metadata.name:
            raise msgspec.ValidationError("an object without a name")
        return obj

    def _take_bad(self, event: WatchEvent, reason: str) -> None:
        key = self._report_bad(bytes(event.object), reason)
        if key is not None and event.type == "DELETED":
            self._store(key, None)

    def _store(self, key: Key, new: T | None) -> None:
        old = self._objects.get(key)
        if new is None:
            if old is None:
                return
            del self._objects[key]
        else:
            self._objects[key] = self._retain(new) if self._retain else new
        for handler in self._handlers:
            try:
                handler(key, old, new)
            except Exception as err:
                # A supervisor's catch: a defect that one object brings out must not end the work for all others.
                _log.error("a subscriber failed", exc=err, resource=self.resource.plural, object=key)
                if self._on_bad_object is not None:
                    self._on_bad_object(key, f"{type(err).__name__}: {err}")

    def _report_bad(self, raw: bytes, reason: str) -> Key | None:
        try:
            meta = msgspec.json.decode(raw, type=Partial).metadata
            key = _key(meta) if meta.name else None
        except UNREADABLE:
            key = None
        if self._log_shares.take(key, self._clock.monotonic()):
            _log.warning("object skipped", resource=self.resource.plural, object=key or "?", reason=reason)
        if self._on_bad_object is not None:
            self._on_bad_object(key, reason)
        return key


class _Contents(Generic[T]):
    """What a list says that differs from what is known; no more than that is held until it is complete."""

    def __init__(self, known: Mapping[Key, T]) -> None:
        self.changed: dict[Key, T] = {}
        self.missing = dict.fromkeys(known)
        self.was_known = bool(known)
        self._known = known

    def remove(self, key: Key) -> None:
        self.changed.pop(key, None)
        if key in self._known:
            self.missing[key] = None

    def keep(self, key: Key | None) -> None:
        """What is known by `key` stays."""
        if key is not None:
            self.missing.pop(key, None)
            self.changed.pop(key, None)


def _key(meta: Identity) -> Key:
    # A cluster has many objects and few namespaces.
    return Key(intern(meta.namespace), meta.name)
