"""The watching half: informers whose changes become rows, handed on one by one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from sys import intern
from time import monotonic
from typing import Any, TypedDict, TypeVar

from kubesvc.aio.clock import Clock
from kubesvc.api.resources import ENDPOINTSLICES, NAMESPACES, PODS, SERVICES, Key
from kubesvc.client.informer import Informer, OnBadObject
from kubesvc.client.rest import Client
from kubesvc.dns import objects, parse, rows
from kubesvc.dns.programming import Programming
from kubesvc.dns.rows import Row
from kubesvc.observe import log

_log = log("dns.feed")
Take = Callable[[Row], None]
R = TypeVar("R")


class _Shared(TypedDict):
    clock: Clock | None
    on_bad_object: OnBadObject


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What is to be watched, and how it is read."""

    verify_pods: bool = False
    endpoint_pod_names: bool = False


class Feed:
    """Watches the cluster and calls `take` with each row, in the loop, in the order of events."""

    def __init__(self, client: Client, take: Take, options: FeedOptions, *, clock: Clock | None = None) -> None:
        self._take = take
        self._options = options
        self.bad_objects = 0
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
        self._informers: list[Informer[Any]] = [self._services, self._slices, self._namespaces]
        self._pods: Informer[objects.Pod] | None = None
        if options.verify_pods:
            self._pods = Informer(client, PODS, objects.Pod, transform=self._shrink_pod, **shared)
            self._pods.subscribe(self._on_pod)
            self._informers.append(self._pods)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._informers:
                group.create_task(informer.run(), name=f"watch {informer.resource.plural}")

    async def synced(self) -> None:
        """Return when everything that was there at the start has been handed on."""
        for informer in self._informers:
            await informer.synced.wait()

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

    # An object that says nothing new, after a relist or a change of what names do not show, keeps
    # its old row: that saves the memory of two clusters at once, and the answering side the work.

    def _shrink_service(self, service: objects.Service) -> objects.Service:
        bare = _bare(service.metadata)
        old = self._services.objects.get(Key(bare.namespace, bare.name))
        row = self._parse(bare, lambda: parse.service_row(service), old.row if old else None)
        return objects.Service(bare, row=row, is_selected=bool(service.spec.selector))

    def _shrink_slice(self, slice_: objects.EndpointSlice) -> objects.EndpointSlice:
        bare = _bare(slice_.metadata)
        old = self._slices.objects.get(Key(bare.namespace, bare.name))
        pod_names = self._options.endpoint_pod_names
        row = self._parse(bare, lambda: parse.slice_row(slice_, pod_names=pod_names), old.row if old else None)
        annotations = slice_.metadata.annotations
        if annotations is not None and row is not (old.row if old else None):
            self._triggered[Key(bare.namespace, bare.name)] = annotations.trigger_time
        return objects.EndpointSlice(objects.Metadata(bare.name, bare.namespace, bare.resource_version), row=row)

    def _shrink_pod(self, pod: objects.Pod) -> objects.Pod:
        bare = _bare(pod.metadata)
        return objects.Pod(bare, row=self._parse(bare, lambda: parse.pod_row(pod), None))

    def _parse(self, metadata: objects.Bare, make: Callable[[], R | None], old: R | None) -> R | None:
        """The object's row; when it makes no sense, a word about it and the row it had before."""
        try:
            row = make()
        except ValueError as err:
            self._on_bad(Key(metadata.namespace, metadata.name), str(err))
            return old
        return old if row == old else row

    def _on_service(self, key: Key, old: objects.Service | None, new: objects.Service | None) -> None:
        if new is None:
            self._take(rows.ServiceGone(*key))
        elif new.row is not None and (old is None or new.row is not old.row):
            self._take(new.row)

    def _on_slice(self, key: Key, old: objects.EndpointSlice | None, new: objects.EndpointSlice | None) -> None:
        before = old.row.service if old is not None and old.row is not None else ""
        row = new.row if new is not None else None
        if before and (new is None or (row is not None and row.service != before)):
            self._take(rows.SliceGone(key.namespace, before, key.name))
        if row is not None and (old is None or row is not old.row):
            self._take(row)
        trigger = self._triggered.pop(key, "")
        # What was there before us says nothing about how quick we are.
        if row is not None and trigger and self._slices.synced.is_set():
            service = self._services.objects.get(row.key)
            if service is not None and service.row is not None and service.row.headless and service.is_selected:
                self.programming.observe(trigger)

    def _on_namespace(self, key: Key, old: objects.Namespace | None, new: objects.Namespace | None) -> None:
        if old is None or new is None:
            self._take(rows.NamespaceRow(key.name, new is not None))

    def _on_pod(self, key: Key, old: objects.Pod | None, new: objects.Pod | None) -> None:
        row = new.row if new is not None else rows.PodRow(*key)
        if row is not None:
            self._take(row)

    def _on_bad(self, key: Key | None, reason: str) -> None:
        self.bad_objects += 1
        _log.warning("object cannot be named", object=key or "?", reason=reason)


def _bare(metadata: objects.Bare | objects.Metadata) -> objects.Bare:
    return objects.Bare(metadata.name, intern(metadata.namespace), metadata.resource_version)
