"""The state of one family's proxy: what the informers said, and which Services that touches.

Events go in, dirty Service keys come out, and a plan can be asked for at any key. Nothing here
knows how rules are made or when.
"""

from collections.abc import Iterator

from kubesvc.api import views
from kubesvc.api.resources import Key
from kubesvc.proxy.claims import Claims, Frontend, claims_of, without
from kubesvc.proxy.endpoints import LABEL_SERVICE_NAME, SliceEndpoints, parse_slice
from kubesvc.proxy.labels import is_ours
from kubesvc.proxy.model import (
    EMPTY_SERVICE_PLAN,
    Complaint,
    Family,
    NodeFacts,
    ServicePlan,
    ServicePort,
    ServicePortName,
)
from kubesvc.proxy.plan import plan_service
from kubesvc.proxy.rules import node_addresses
from kubesvc.proxy.services import parse_service

LABEL_ZONE = "topology.kubernetes.io/zone"


class Tracker:
    """Services, slices and the node of one family."""

    def __init__(self, family: Family, node_name: str) -> None:
        self.family = family
        self.node = NodeFacts(node_name)
        self.dirty: set[Key] = set()
        self._services: dict[Key, dict[ServicePortName, ServicePort]] = {}
        self._slices: dict[Key, dict[str, SliceEndpoints]] = {}
        self._owners: dict[Key, Key] = {}
        self._claims = Claims()

    def __iter__(self) -> Iterator[Key]:
        return iter(self._services)

    def __len__(self) -> int:
        return len(self._services)

    def set_service(self, key: Key, service: views.Service | None) -> tuple[Complaint, ...]:
        """Take in the newest form of a Service, None when it is gone."""
        ports, complaints = parse_service(service, self.family) if service is not None else ({}, ())
        before = self._services.get(key, {})
        if ports != before:
            self.dirty.add(key)
        if ports:
            self._services[key] = ports
        else:
            self._services.pop(key, None)
        created = service.metadata.creation_timestamp if service is not None else None
        claims = claims_of(key, created, ports.values())
        self.dirty |= self._claims.set(key, claims_of(key, None, before.values()), claims)
        return complaints

    def contested(self, key: Key) -> tuple[Complaint, ...]:
        """What a Service claims although another has it."""
        return tuple(
            Complaint("Service", key.namespace, key.name, "AddressInUse", f"{frontend} is served for Service {winner}")
            for frontend, winner in sorted(self._lost(key).items())
        )

    def set_slice(self, key: Key, slice_: views.EndpointSlice | None) -> tuple[Complaint, ...]:
        """Take in the newest form of an EndpointSlice, None when it is gone."""
        ports, complaints = parse_slice(slice_, self.family) if slice_ is not None else ({}, ())
        owner = _owner(key, slice_)
        previous = self._owners.get(key)
        if previous is not None and previous != owner:
            self._drop_slice(previous, key)
        if owner is None:
            return complaints
        if not ports:
            if previous is not None:
                self._drop_slice(owner, key)
            return complaints
        slices = self._slices.setdefault(owner, {})
        if slices.get(key.name) != ports:
            slices[key.name] = ports
            self.dirty.add(owner)
        self._owners[key] = owner
        return complaints

    def set_node(self, node: views.Node | None) -> None:
        """Take in this node; a new zone or address touches every Service."""
        if node is None:
            return
        facts = NodeFacts(
            name=self.node.name,
            zone=(node.metadata.labels or {}).get(LABEL_ZONE, ""),
            addresses=node_addresses(node, self.family),
        )
        if facts != self.node:
            self.node = facts
            self.dirty.update(self._services)

    def take_dirty(self) -> set[Key]:
        """The keys to plan again; the caller owns them from here on."""
        dirty, self.dirty = self.dirty, set()
        return dirty

    def plan(self, key: Key) -> ServicePlan:
        """The plan of one Service; empty if there is no such Service in this family."""
        ports = self._services.get(key)
        if not ports:
            return EMPTY_SERVICE_PLAN
        slices = self._slices.get(key, {})
        lost = self._lost(key)
        if lost:
            left = {name: without(port, lost) for name, port in ports.items()}
            ports = {name: port for name, port in left.items() if port is not None}
        return plan_service(ports, (slices[name] for name in sorted(slices)), self.node)

    def _lost(self, key: Key) -> dict[Frontend, Key]:
        if not self._claims.contested:
            return {}
        return self._claims.lost(key, claims_of(key, None, self._services.get(key, {}).values()))

    def _drop_slice(self, owner: Key, key: Key) -> None:
        self._owners.pop(key, None)
        slices = self._slices.get(owner, {})
        if slices.pop(key.name, None) is not None:
            self.dirty.add(owner)
        if not slices:
            self._slices.pop(owner, None)


def _owner(key: Key, slice_: views.EndpointSlice | None) -> Key | None:
    if slice_ is None:
        return None
    labels = slice_.metadata.labels or {}
    if not is_ours(labels) or not labels.get(LABEL_SERVICE_NAME):
        return None
    return Key(key.namespace, labels[LABEL_SERVICE_NAME])
