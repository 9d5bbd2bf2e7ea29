"""Fitting endpoints into slices with little churn: existing slices are kept, topped up, reused.

The order of preference is upstream's: a slice whose endpoints stay as they are is not written; slices
that must be written anyway take new endpoints first, the fullest first; what is then left over goes
into the one unchanged slice it fits best, else into new slices; a slice to delete is rewritten
instead of creating another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from kubesvc.api.views import Endpoint, EndpointPort, EndpointSlice
from kubesvc.controllers.endpointslice.endpoints import Identity, Ports, identity

MAX_ENDPOINTS = 100
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(slots=True)
class Plan:
    """Slices to create (without a name), to rewrite, to delete, and to leave alone."""

    creates: list[EndpointSlice] = field(default_factory=list)
    updates: list[EndpointSlice] = field(default_factory=list)
    deletes: list[EndpointSlice] = field(default_factory=list)
    kept: list[EndpointSlice] = field(default_factory=list)


@dataclass(slots=True)
class _Draft:
    origin: EndpointSlice
    endpoints: list[Endpoint]
    written: bool

    @property
    def room(self) -> int:
        return MAX_ENDPOINTS - len(self.endpoints)


def port_key(ports: Ports | None) -> frozenset[tuple[str, str, int | None, str | None]]:
    """Ports as a set: their order does not make another slice."""
    return frozenset(_port_fields(port) for port in ports or ())


def plan_slices(
    blank: EndpointSlice, existing: Sequence[EndpointSlice], wanted: Mapping[Ports, Sequence[Endpoint]]
) -> Plan:
    """What to do so that slices like `blank` (one address type) hold exactly `wanted`, grouped by ports.

    `blank` carries the labels, annotations and owner that every slice must have. All of `existing` have
    its address type and may be written.
    """
    plan = Plan()
    by_ports: dict[object, list[EndpointSlice]] = {}
    for found in existing:
        by_ports.setdefault(port_key(found.ports), []).append(found)
    groups = {port_key(ports): (ports, endpoints) for ports, endpoints in wanted.items() if endpoints}
    for key, (ports, endpoints) in groups.items():
        own = msgspec.structs.replace(blank, ports=ports)
        _pack(own, by_ports.pop(key, []), endpoints, plan)
    for leftover in by_ports.values():
        plan.deletes.extend(leftover)
    _reuse_deleted(plan)
    return plan


def _pack(blank: EndpointSlice, existing: Sequence[EndpointSlice], wanted: Sequence[Endpoint], plan: Plan) -> None:
    pending = {identity(endpoint): endpoint for endpoint in wanted}
    drafts = []
    for found in existing:
        draft = _keep_wanted(found, blank, pending)
        if draft.endpoints:
            drafts.append(draft)
        else:
            plan.deletes.append(found)
    rest = list(pending.values())
    for draft in sorted((d for d in drafts if d.written), key=lambda d: d.room):
        rest = _fill(draft, rest)
    while rest:
        chosen = _best_fit(drafts, len(rest))
        if chosen is None:
            plan.creates.append(msgspec.structs.replace(blank, endpoints=tuple(rest[:MAX_ENDPOINTS])))
            rest = rest[MAX_ENDPOINTS:]
        else:
            rest = _fill(chosen, rest)
    for draft in drafts:
        if draft.written:
            plan.updates.append(_rewritten(draft.origin, blank, tuple(draft.endpoints)))
        else:
            plan.kept.append(draft.origin)


def _keep_wanted(found: EndpointSlice, blank: EndpointSlice, pending: dict[Identity, Endpoint]) -> _Draft:
    """The endpoints of a slice that stay in it, in their wanted form; they are taken out of `pending`."""
    kept: list[Endpoint] = []
    changed = len(found.endpoints or ()) > MAX_ENDPOINTS
    for endpoint in found.endpoints or ():
        desired = pending.pop(identity(endpoint), None) if len(kept) < MAX_ENDPOINTS else None
        if desired is None:
            changed = True
            continue
        kept.append(desired)
        changed = changed or desired != _comparable(endpoint)
    return _Draft(found, kept, changed or _metadata_differs(found, blank))


def _metadata_differs(found: EndpointSlice, blank: EndpointSlice) -> bool:
    annotations = found.metadata.annotations or {}
    return (found.metadata.labels or {}) != (blank.metadata.labels or {}) or any(
        annotations.get(name) != value
        for name, value in (blank.metadata.annotations or {}).items()
        if name != TRIGGER_TIME  # a new time alone is no reason to write
    )


def _comparable(endpoint: Endpoint) -> Endpoint:
    """The endpoint without what older writers put into it and nobody reads."""
    target = endpoint.target_ref
    if target is None or not (target.resource_version or target.api_version):
        return endpoint
    plain = msgspec.structs.replace(target, resource_version="", api_version="")
    return msgspec.structs.replace(endpoint, target_ref=plain)


def _fill(draft: _Draft, rest: list[Endpoint]) -> list[Endpoint]:
    taken = rest[: draft.room]
    if taken:
        draft.endpoints.extend(taken)
        draft.written = True
    return rest[len(taken) :]


def _best_fit(drafts: Iterable[_Draft], count: int) -> _Draft | None:
    """The fullest unchanged slice that takes all `count` endpoints."""
    if count >= MAX_ENDPOINTS:
        return None
    return min((d for d in drafts if not d.written and d.room >= count), key=lambda d: d.room, default=None)


def _reuse_deleted(plan: Plan) -> None:
    while plan.deletes and plan.creates:
        plan.updates.append(_rewritten(plan.deletes.pop(), plan.creates[-1], plan.creates.pop().endpoints or ()))


def _rewritten(origin: EndpointSlice, like: EndpointSlice, endpoints: tuple[Endpoint, ...]) -> EndpointSlice:
    """`origin` under its own name and revision, with the labels, owner and ports of `like`."""
    metadata = msgspec.structs.replace(
        origin.metadata,
        labels=like.metadata.labels,
        annotations=_annotations(origin.metadata.annotations, like.metadata.annotations),
        owner_references=like.metadata.owner_references,
    )
    return msgspec.structs.replace(like, metadata=metadata, endpoints=endpoints)


def _annotations(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> dict[str, str] | None:
    kept = {name: value for name, value in (old or {}).items() if name != TRIGGER_TIME}
    return (kept | dict(new or {})) or None


def _port_fields(port: EndpointPort) -> tuple[str, str, int | None, str | None]:
    return port.name or "", port.protocol or "TCP", port.port, port.app_protocol
