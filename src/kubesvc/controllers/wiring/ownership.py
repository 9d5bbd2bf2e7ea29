"""Wiring of garbage collection and of the controllers of namespaces."""

from collections.abc import Sequence

from kubesvc.aio.clock import Clock
from kubesvc.api.resources import (
    BY_KIND,
    CONFIGMAPS,
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    RESOURCES,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    Key,
    Resource,
)
from kubesvc.api.status import NotFound
from kubesvc.api.views import ConfigMap, Namespace, ObjectMeta, OwnerReference, Partial
from kubesvc.client.rest import Client
from kubesvc.controllers import garbage, namespace
from kubesvc.controllers.caches import Caches
from kubesvc.controllers.changes import Change
from kubesvc.controllers.controller import Controller
from kubesvc.controllers.garbage import Member, OwnerState
from kubesvc.controllers.graph import OwnerGraph, Place

# What can own or be owned. Events are left out: they are many, own nothing and expire by themselves.
COLLECTED = (
    NODES, PODS, SERVICES, ENDPOINTS, CONFIGMAPS, SECRETS, SERVICEACCOUNTS, ENDPOINTSLICES, LEASES, DEPLOYMENTS,
    REPLICASETS,
)  # fmt: skip


def watch_all(caches: Caches) -> None:
    """Cache the metadata of every collected resource that no other controller caches in full."""
    for resource in COLLECTED:
        if resource not in caches.resources:
            caches.informer(resource, Partial)


class GarbageWiring:
    """Keys are places: a resource and a key in it."""

    def __init__(self, caches: Caches, client: Client) -> None:
        self._client = client
        self.graph = OwnerGraph()
        self.controller: Controller[Place] = Controller("garbage", self._sync, workers=8)
        caches.observe(self._observed)

    def _observed(self, resource: Resource, key: Key, meta: ObjectMeta | None) -> None:
        old = self.graph.put(resource, key, meta)
        before = old.meta if old is not None else None
        if meta is not None and (before is None or _links(before) != _links(meta)):
            if meta.owner_references or (meta.deletion_timestamp and meta.finalizers):
                self.controller.queue.add((resource, key))
            if garbage.state_of(meta) is OwnerState.WAITING:
                self._add_dependents(meta.uid)
        if before is not None and (meta is None or meta.uid != before.uid):
            self._add_dependents(before.uid)
            self._add_waiting_owners(before)

    def _add_dependents(self, uid: str) -> None:
        for dependent in self.graph.dependents(uid):
            self.controller.queue.add((dependent.resource, dependent.key))

    def _add_waiting_owners(self, meta: ObjectMeta) -> None:
        for reference in meta.owner_references or ():
            owner = self.graph.by_uid(reference.uid)
            if owner is not None and owner.meta.deletion_timestamp is not None:
                self.controller.queue.add((owner.resource, owner.key))

    async def _sync(self, place: Place) -> Sequence[Change]:
        member = self.graph.at(place)
        if member is None:
            return []
        owners = [(owner, await self._state(member, owner)) for owner in member.meta.owner_references or ()]
        dependents = list(self.graph.dependents(member.meta.uid))
        return garbage.reconcile(garbage.Inputs(member, owners, dependents))

    async def _state(self, member: Member, owner: OwnerReference) -> OwnerState:
        """From the cache where it knows the owner; that it is absent only the API itself may say."""
        known = self.graph.by_uid(owner.uid)
        if known is not None:
            return garbage.state_of(known.meta)
        resource = BY_KIND.get((owner.api_version, owner.kind))
        if resource is None or (resource.namespaced and not member.meta.namespace):
            return OwnerState.UNKNOWN
        try:
            space = member.meta.namespace if resource.namespaced else ""
            found = await self._client.get(resource, owner.name, namespace=space, view=Partial)
        except NotFound:
            return OwnerState.ABSENT
        return garbage.state_of(found.metadata) if found.metadata.uid == owner.uid else OwnerState.ABSENT


def _links(meta: ObjectMeta) -> tuple[object, ...]:
    return meta.uid, meta.owner_references, meta.deletion_timestamp, meta.finalizers


def namespace_controller(caches: Caches, graph: OwnerGraph, client: Client, clock: Clock) -> Controller[str]:
    namespaces = caches.informer(NAMESPACES, Namespace)

    async def sync(name: str) -> Sequence[Change]:
        found = namespaces.objects.get(Key("", name))
        if found is None or not namespace.is_terminating(found):
            return []
        try:
            document = await client.get(NAMESPACES, name)
        except NotFound:
            return []
        contents = list(graph.in_namespace(name)) or await _live_contents(client, name)
        events = []
        if not contents:
            events = [obj.metadata for obj in (await client.list(EVENTS, namespace=name, view=Partial)).items]
        return namespace.reconcile(namespace.Inputs(found, document, contents, events), now=clock.now())

    controller = Controller("namespace", sync, resource=NAMESPACES)

    def observed(_: Resource, key: Key, meta: ObjectMeta | None) -> None:
        if meta is None and key.namespace:
            space = namespaces.objects.get(Key("", key.namespace))
            if space is not None and space.metadata.deletion_timestamp is not None:
                controller.queue.add(key.namespace)

    namespaces.subscribe(lambda key, old, new: controller.queue.add(key.name))
    caches.observe(observed)
    return controller


async def _live_contents(client: Client, name: str) -> list[Member]:
    """Asked of the API itself: the caches may not show yet what was made just before the end."""
    found: list[Member] = []
    for resource in RESOURCES:
        if resource.namespaced and resource is not EVENTS:
            listing = await client.list(resource, namespace=name, view=Partial)
            found += (Member(resource, obj.metadata) for obj in listing.items)
    return found


def namespace_defaults_controller(caches: Caches, cluster_ca: str) -> Controller[str]:
    """ServiceAccount `default` and ConfigMap `kube-root-ca.crt` in each namespace."""
    namespaces = caches.informer(NAMESPACES, Namespace)
    configmaps = caches.informer(CONFIGMAPS, ConfigMap)
    accounts = caches.informer(SERVICEACCOUNTS, Partial)

    async def sync(name: str) -> Sequence[Change]:
        space = namespaces.objects.get(Key("", name))
        if space is None:
            return []
        exists = Key(name, namespace.DEFAULT_ACCOUNT) in accounts.objects
        found = configmaps.objects.get(Key(name, namespace.ROOT_CA_CONFIGMAP))
        data = (found.data or {}) if found is not None else None
        return [
            *namespace.missing_account(space, exists=exists, resource=SERVICEACCOUNTS),
            *(namespace.missing_root_ca(space, data, cluster_ca, CONFIGMAPS) if cluster_ca else ()),
        ]

    controller = Controller("namespacedefaults", sync, resource=NAMESPACES)

    def on_configmap(key: Key, _: ConfigMap | None, new: ConfigMap | None) -> None:
        if key.name == namespace.ROOT_CA_CONFIGMAP:
            controller.queue.add(key.namespace)

    def on_account(key: Key, _: Partial | None, new: Partial | None) -> None:
        if key.name == namespace.DEFAULT_ACCOUNT and new is None:
            controller.queue.add(key.namespace)

    namespaces.subscribe(lambda key, old, new: controller.queue.add(key.name))
    configmaps.subscribe(on_configmap)
    accounts.subscribe(on_account)
    return controller
