"""The Endpoints controller: the older, single object per Service that `kubectl get ep` shows (core/v1)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from kubesvc.api.resources import ENDPOINTS
from kubesvc.api.views import EndpointAddress, Endpoints, EndpointsPort, EndpointSubset, ObjectMeta, Pod, Service
from kubesvc.controllers.changes import Change, Create, Delete, Document, Update
from kubesvc.controllers.endpointslice.endpoints import (
    belongs,
    families,
    find_port,
    hostname_for,
    is_headless,
    target_reference,
)
from kubesvc.controllers.endpointslice.packing import TRIGGER_TIME
from kubesvc.controllers.endpointslice.reconcile import HEADLESS, has_endpoints
from kubesvc.controllers.meta import key_of, plain
from kubesvc.controllers.pods import addresses, is_ready

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER_NAME = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MAX_ADDRESSES = 1000

_Entry = tuple[EndpointAddress, bool]
Subsets = tuple[EndpointSubset, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """`service` is None when it is gone; `pods` are those its selector matches."""

    service: Service | None
    pods: Sequence[Pod]
    endpoints: Endpoints | None
    trigger_time: str | None = None


def reconcile(inputs: Inputs) -> list[Change]:
    service, existing = inputs.service, inputs.endpoints
    if service is None:
        return [Delete(ENDPOINTS, key_of(existing.metadata), existing.metadata.uid)] if existing else []
    if not has_endpoints(service):
        return []
    subsets, truncated = _truncate(_subsets(service, inputs.pods))
    labels = _labels(service)
    if existing is not None and _same(existing, subsets, labels, truncated=truncated):
        return []
    annotations = dict((existing.metadata.annotations if existing else service.metadata.annotations) or {})
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    _set(annotations, TRIGGER_TIME, inputs.trigger_time)
    _set(annotations, OVER_CAPACITY, "truncated" if truncated else None)
    base = (
        existing.metadata if existing else ObjectMeta(name=service.metadata.name, namespace=service.metadata.namespace)
    )
    metadata = msgspec.structs.replace(base, labels=labels, annotations=annotations or None)
    document = _document(metadata, subsets)
    if existing is not None:
        return [Update(ENDPOINTS, document)]
    return [Create(ENDPOINTS, document)] if service.metadata.deletion_timestamp is None else []


def _subsets(service: Service, pods: Iterable[Pod]) -> Subsets:
    """Ports that the same addresses serve share a subset, as `RepackSubsets` defines it."""
    every = service.spec.publish_not_ready_addresses
    by_port: dict[EndpointsPort | None, dict[str, _Entry]] = {}
    for pod in pods:
        if not belongs(pod, include_terminating=every):
            continue
        address = _address(service, pod)
        if address is None:
            continue
        entry = (address, every or is_ready(pod))
        for port in _ports(service, pod):
            by_port.setdefault(port, {})[address.ip] = entry
    groups: dict[frozenset[tuple[str, bool]], tuple[list[EndpointsPort], list[_Entry]]] = {}
    for port, entries in by_port.items():
        group = frozenset((ip, ready) for ip, (_, ready) in entries.items())
        ports, _ = groups.setdefault(group, ([], sorted(entries.values(), key=lambda entry: entry[0].ip)))
        if port is not None:
            ports.append(port)
    subsets = [_subset(ports, entries) for ports, entries in groups.values()]
    return tuple(sorted(subsets, key=lambda subset: [(p.name, p.port) for p in subset.ports or ()]))


def _ports(service: Service, pod: Pod) -> Iterable[EndpointsPort | None]:
    if not service.spec.ports:
        return [None] if is_headless(service) else []
    found = ((port, find_port(pod, port)) for port in service.spec.ports)
    return [
        EndpointsPort(port=number, name=port.name, protocol=port.protocol, app_protocol=port.app_protocol)
        for port, number in found
        if number is not None
    ]


def _address(service: Service, pod: Pod) -> EndpointAddress | None:
    found = addresses(pod, families(service)[0])
    if not found:
        return None
    return EndpointAddress(
        ip=found[0],
        hostname=hostname_for(service, pod) or "",
        node_name=pod.spec.node_name or None,
        target_ref=target_reference(pod),
    )


def _subset(ports: Iterable[EndpointsPort], entries: Sequence[_Entry]) -> EndpointSubset:
    return EndpointSubset(
        addresses=tuple(address for address, ready in entries if ready) or None,
        not_ready_addresses=tuple(address for address, ready in entries if not ready) or None,
        ports=tuple(sorted(ports, key=lambda port: (port.name, port.port, port.protocol))) or None,
    )


def _truncate(subsets: Subsets) -> tuple[Subsets, bool]:
    """At most 1,000 addresses, ready ones first; more would make an object too large to move often."""
    total = sum(len(s.addresses or ()) + len(s.not_ready_addresses or ()) for s in subsets)
    if total <= MAX_ADDRESSES:
        return subsets, False
    room_ready = MAX_ADDRESSES
    room_other = max(0, MAX_ADDRESSES - sum(len(s.addresses or ()) for s in subsets))
    kept = []
    for subset in subsets:
        ready = (subset.addresses or ())[:room_ready]
        other = (subset.not_ready_addresses or ())[:room_other]
        room_ready -= len(ready)
        room_other -= len(other)
        if ready or other:
            kept.append(msgspec.structs.replace(subset, addresses=ready or None, not_ready_addresses=other or None))
    return tuple(kept), True


def _labels(service: Service) -> dict[str, str]:
    labels = {name: value for name, value in (service.metadata.labels or {}).items() if name != HEADLESS}
    if is_headless(service):
        labels[HEADLESS] = ""
    return labels | {MANAGED_BY: CONTROLLER_NAME}


def _same(existing: Endpoints, subsets: Subsets, labels: dict[str, str], *, truncated: bool) -> bool:
    marked = (existing.metadata.annotations or {}).get(OVER_CAPACITY) == "truncated"
    return (
        (existing.metadata.labels or {}) == labels
        and marked == truncated
        and [_comparable(s) for s in existing.subsets or ()] == [_comparable(s) for s in subsets]
    )


def _comparable(subset: EndpointSubset) -> tuple[object, ...]:
    """A subset as sets: another writer's order, or a reference's revision, is no difference."""
    return (
        frozenset(_plain(address) for address in subset.addresses or ()),
        frozenset(_plain(address) for address in subset.not_ready_addresses or ()),
        frozenset(subset.ports or ()),
    )


def _plain(address: EndpointAddress) -> tuple[object, ...]:
    target = address.target_ref
    named = (target.kind, target.namespace, target.name, target.uid) if target else None
    return address.ip, address.hostname, address.node_name, named


def _set(annotations: dict[str, str], name: str, value: str | None) -> None:
    if value:
        annotations[name] = value
    else:
        annotations.pop(name, None)


def _document(metadata: ObjectMeta, subsets: Subsets) -> Document:
    document: Document = plain(Endpoints(metadata=metadata, subsets=subsets or None))
    for subset in document.get("subsets", ()):
        for port in subset.get("ports", ()):
            port.setdefault("protocol", "TCP")
    return {"apiVersion": "v1", "kind": "Endpoints"} | document
