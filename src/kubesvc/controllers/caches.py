"""The informers all controllers share, one per resource, and indexes over them."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar, cast

from kubesvc.aio.clock import Clock
from kubesvc.api.resources import Key, Resource
from kubesvc.api.views import ObjectMeta
from kubesvc.client.informer import Informer
from kubesvc.client.rest import Client
from kubesvc.controllers.meta import key_of


class HasMetadata(Protocol):
    """Any view of a whole object."""

    @property
    def metadata(self) -> ObjectMeta: ...


T = TypeVar("T", bound=HasMetadata)
_NOTHING: Mapping[Key, Any] = MappingProxyType({})


class Index(Generic[T]):
    """The objects of an informer by a value computed from each; kept by the informer's events."""

    def __init__(self, informer: Informer[T], values: Callable[[T], Iterable[Hashable]]) -> None:
        self._values = values
        self._objects: dict[Hashable, dict[Key, T]] = {}
        for obj in informer.objects.values():
            self._change(key_of(obj.metadata), None, obj)
        informer.subscribe(self._change)

    def __getitem__(self, value: Hashable) -> Mapping[Key, T]:
        """The objects with `value`, by key; empty when there are none."""
        return cast(Mapping[Key, T], self._objects.get(value, _NOTHING))

    def _change(self, key: Key, old: T | None, new: T | None) -> None:
        if old is not None:
            for value in self._values(old):
                bucket = self._objects.get(value)
                if bucket is not None and bucket.pop(key, None) is not None and not bucket:
                    del self._objects[value]
        if new is not None:
            for value in self._values(new):
                self._objects.setdefault(value, {})[key] = new


class Caches:
    """Makes each informer once, whoever asks first; all must be asked for before `run`."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._informers: dict[Resource, Informer[Any]] = {}
        self._observers: list[Callable[[Resource, Key, ObjectMeta | None], None]] = []

    @property
    def resources(self) -> tuple[Resource, ...]:
        return tuple(self._informers)

    def informer(self, resource: Resource, view: type[T]) -> Informer[T]:
        """The shared informer; its view is the one the first caller named."""
        known = self._informers.get(resource)
        if known is None:
            known = Informer(self._client, resource, view, clock=self._clock)
            self._informers[resource] = known
            known.subscribe(lambda key, _, new: self._observed(resource, key, new))
        return known

    def observe(self, observer: Callable[[Resource, Key, ObjectMeta | None], None]) -> None:
        """Call `observer(resource, key, newest metadata or None)` after each change of any cache."""
        self._observers.append(observer)

    def meta(self, resource: Resource, key: Key) -> ObjectMeta | None:
        informer = self._informers.get(resource)
        obj = informer.objects.get(key) if informer else None
        return obj.metadata if obj is not None else None

    def revision(self, resource: Resource) -> str | None:
        """The revision the cache of `resource` stands at; None when nobody caches it."""
        informer = self._informers.get(resource)
        return informer.resource_version if informer else None

    async def synced(self) -> None:
        """Return once every cache has its first full contents."""
        for informer in self._informers.values():
            await informer.synced.wait()

    async def run(self) -> None:
        """Keep the caches until cancelled."""
        async with asyncio.TaskGroup() as group:
            for resource, informer in self._informers.items():
                group.create_task(informer.run(), name=f"informer {resource.plural}")

    def _observed(self, resource: Resource, key: Key, new: HasMetadata | None) -> None:
        for observer in self._observers:
            observer(resource, key, new.metadata if new is not None else None)
