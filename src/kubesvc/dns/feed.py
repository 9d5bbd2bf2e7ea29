"""The watching half: informers whose changes become rows, handed on one by one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from sys import intern
from time import monotonic
from typing import Any, TypedDict, TypeVar

from kubesvc.aio.clock import Clock
from kubesvc.aio.shares import Shares
from kubesvc.api.resources import ENDPOINTSLICES, NAMESPACES, PODS, SERVICES, Key
from kubesvc.client.events import BURST, REFILL_SECONDS
from kubesvc.client.informer import Informer, OnBadObject
from kubesvc.client.rest import Client
from kubesvc.dns import objects, parse, rows
from kubesvc.dns.programming import Programming
from kubesvc.dns.rows import Row, pack, unpack_service, unpack_slice
from kubesvc.observe import log

_log = log("dns.feed")
Take = Callable[[bytes], None]
T = TypeVar("T", objects.Service, objects.EndpointSlice, objects.Pod)


class _Shared(TypedDict):
    clock: Clock | None
    on_bad_object: OnBadObject


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What is to be watched, and how it is read."""

    verify_pods: bool = False
    endpoint_pod_names: bool = False


class Feed:
    """Watches the cluster and calls `take` with each row, packed, in the loop, in the order of events."""

    def __init__(self, client: Client, take: Take, options: FeedOptions, *, clock: Clock | None = None) -> None:
        self._take = take
        self._options = options
        self.bad_objects = 0
        self._log_shares = Shares[Key | None](BURST, REFILL_SECONDS)
        self.programming = Programming()
        # What changed slices say, between being read and being handed on.
        self._triggered: dict[Key, str] = {}
        shared: _Shared = {"clock": clock, "on_bad_object": self._on_bad}
        self._services = Informer(client, SERVICES, objects.Service, transform=self._shrink_service, **shared)
        self._slices = Informer(
            client, ENDPOINTSLICES, objects.EndpointSlice,
            label_selector=rows.SERVICE_NAME_LABEL, transform=self._shrink_slice, **shared,
        )  # fmt: skip
        self._namespaces = Informer(client, NAMESPACES, objects.Namespace, **shared)
        self._services.subscribe(self._on_service)
        self._slices.subscribe(self._on_slice)
        self._namespaces.subscribe(self._on_namespace)
        self._informers: list[Informer[Any]] = [self._namespaces, self._services, self._slices]
        self._pods: Informer[objects.Pod] | None = None
        if options.verify_pods:
            self._pods = Informer(client, PODS, objects.Pod, transform=self._shrink_pod, **shared)
            self._pods.subscribe(self._on_pod)
            self._informers.append(self._pods)

    async def run(self) -> None:
        """Watch until cancelled.

        The first informer asks alone until the API is there. Before the Services' rules are, a node is told of five
        packets without a way and then of one a second: three connections at once would soon wait for that.
        """
        first, *others = self._informers
        async with asyncio.TaskGroup() as group:
            group.create_task(first.run(), name=f"watch {first.resource.plural}")
            await first.synced.wait()
            for informer in others:
                group.create_task(informer.run(), name=f"watch {informer.resource.plural}")

    async def synced(self) -> None:
        """Return when everything that was there at the start has been handed on."""
        for informer in self._informers:
            await informer.synced.wait()

    @property
    def is_synced(self) -> bool:
        """Whether everything that was there at the start has been handed on."""
        return all(informer.synced.is_set() for informer in self._informers)

    def replay(self, take: Take) -> None:
        """Hand everything known to `take`: a newcomer's first contents."""
        keep, self._take = self._take, take
        try:
            for key, namespace in self._namespaces.objects.items():
                self._on_namespace(key, None, namespace)
            for key, service in self._services.objects.items():
                self._on_service(key, None, service)
            for key, slice_ in self._slices.objects.items():
                self._on_slice(key, None, slice_)
            for key, pod in self._pods.objects.items() if self._pods is not None else ():
                self._on_pod(key, None, pod)
        finally:
            self._take = keep

    @property
    def services(self) -> int:
        """How many Services are known."""
        return len(self._services.objects)

    @property
    def silence(self) -> float | None:
        """Seconds since the API server was last heard of, by the watch that has waited longest; None if never."""
        heard = min(informer.last_contact for informer in self._informers)
        return monotonic() - heard if heard > 0 else None

    # An object that says nothing new, after a relist or a change of what names do not show, leaves what
    # is kept as it was: that saves the memory of two clusters at once, and the answering side the work.

    def _shrink_service(self, service: objects.Service) -> objects.Service:
        old = self._services.objects.get(_key(service))
        row = self._read(service, old, lambda: parse.service_row(service))
        is_selected = bool(service.spec.selector)
        if old is not None and row is old.row and is_selected == old.is_selected:
            return _as_before(old, service)
        return objects.Service(_bare(service), row=row, is_selected=is_selected)

    def _shrink_slice(self, slice_: objects.EndpointSlice) -> objects.EndpointSlice:
        key = _key(slice_)
        old = self._slices.objects.get(key)
        pod_names = self._options.endpoint_pod_names
        row = self._read(slice_, old, lambda: parse.slice_row(slice_, pod_names=pod_names))
        if old is not None and row is old.row:
            return _as_before(old, slice_)
        annotations = slice_.metadata.annotations
        if annotations is not None:
            self._triggered[key] = annotations.trigger_time
        bare = _bare(slice_)
        return objects.EndpointSlice(objects.Metadata(bare.name, bare.namespace, bare.resource_version), row=row)

    def _shrink_pod(self, pod: objects.Pod) -> objects.Pod:
        return objects.Pod(_bare(pod), row=self._read(pod, None, lambda: parse.pod_row(pod)))

    def _read(self, obj: T, old: T | None, parse_row: Callable[[], Row | None]) -> bytes | None:
        """The object's row; when it makes no sense, a word about it and the row it had before."""
        before = old.row if old is not None else None
        try:
            row = parse_row()
        except ValueError as err:
            self._on_bad(_key(obj), str(err))
            return before
        packed = pack(row) if row is not None else None
        return before if packed == before else packed

    def _on_service(self, key: Key, old: objects.Service | None, new: objects.Service | None) -> None:
        if new is None:
            self._hand_on(rows.ServiceGone(*key))
        elif new.row is not None and (old is None or new.row is not old.row):
            self._take(new.row)

    def _on_slice(self, key: Key, old: objects.EndpointSlice | None, new: objects.EndpointSlice | None) -> None:
        before = unpack_slice(old.row) if old is not None and old.row is not None else None
        row = unpack_slice(new.row) if new is not None and new.row is not None else None
        if before is not None and (new is None or (row is not None and row.service != before.service)):
            self._hand_on(rows.SliceGone(key.namespace, before.service, key.name))
        if new is not None and new.row is not None and (old is None or new.row is not old.row):
            self._take(new.row)
        trigger = self._triggered.pop(key, "")
        # What was there before us says nothing about how quick we are.
        if row is not None and trigger and self._slices.synced.is_set() and self._is_measured(row.key):
            self.programming.observe(trigger)

    def _is_measured(self, key: Key) -> bool:
        """Whether this is a headless Service with a selector."""
        service = self._services.objects.get(key)
        if service is None or service.row is None or not service.is_selected:
            return False
        return unpack_service(service.row).headless

    def _on_namespace(self, key: Key, old: objects.Namespace | None, new: objects.Namespace | None) -> None:
        if old is None or new is None:
            self._hand_on(rows.NamespaceRow(key.name, new is not None))

    def _on_pod(self, key: Key, old: objects.Pod | None, new: objects.Pod | None) -> None:
        if new is None:
            self._hand_on(rows.PodRow(*key))
        elif new.row is not None:
            self._take(new.row)

    def _hand_on(self, row: Row) -> None:
        self._take(pack(row))

    def _on_bad(self, key: Key | None, reason: str) -> None:
        self.bad_objects += 1
        if self._log_shares.take(key, monotonic()):
            _log.warning("object cannot be named", object=key or "?", reason=reason)


def _key(obj: objects.Service | objects.EndpointSlice | objects.Pod) -> Key:
    return Key(obj.metadata.namespace, obj.metadata.name)


def _bare(obj: objects.Service | objects.EndpointSlice | objects.Pod) -> objects.Bare:
    metadata = obj.metadata
    return objects.Bare(metadata.name, intern(metadata.namespace), metadata.resource_version)


def _as_before(old: T, new: T) -> T:
    """What is kept already, at the revision of `new`."""
    old.metadata.resource_version = new.metadata.resource_version
    return old
