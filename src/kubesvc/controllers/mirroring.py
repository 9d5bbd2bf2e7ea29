"""The mirroring controller: Endpoints that a person or another program wrote, as EndpointSlices.

Only for Services without a selector; slices of selected pods have a controller of their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kubesvc.api.resources import ENDPOINTS, ENDPOINTSLICES
from kubesvc.api.views import (
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    EndpointPort,
    Endpoints,
    EndpointSlice,
    EndpointsPort,
    EndpointSubset,
    ObjectMeta,
    Service,
)
from kubesvc.controllers.changes import Change, Delete
from kubesvc.controllers.endpointslice.endpoints import Ports
from kubesvc.controllers.endpointslice.packing import TRIGGER_TIME, plan_slices
from kubesvc.controllers.endpointslice.reconcile import MANAGED_BY, changes_of
from kubesvc.controllers.meta import SERVICE_NAME_LABEL, controller_reference, key_of

CONTROLLER_NAME = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"
MAX_PER_SUBSET = 1000
_NOT_COPIED = (TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration")


@dataclass(frozen=True, slots=True)
class Inputs:
    """`slices` are those of this name that the mirroring controller manages."""

    endpoints: Endpoints | None
    service: Service | None
    slices: Sequence[EndpointSlice]


def reconcile(inputs: Inputs) -> list[Change]:
    endpoints = inputs.endpoints
    live = [found for found in inputs.slices if found.metadata.deletion_timestamp is None]
    if endpoints is None or not _is_mirrored(endpoints, inputs.service):
        return [_delete(found) for found in live]
    changes: list[Change] = []
    for family in ("IPv4", "IPv6"):
        existing = [found for found in live if found.address_type == family]
        plan = plan_slices(_blank(endpoints, family), existing, _wanted(endpoints, family))
        changes += changes_of(plan, may_create=endpoints.metadata.deletion_timestamp is None)
    return changes


def _is_mirrored(endpoints: Endpoints, service: Service | None) -> bool:
    if service is None or service.spec.selector:
        return False
    skips = (endpoints.metadata.labels or {}).get(SKIP_LABEL) == "true"
    return not skips and LEADER_ANNOTATION not in (endpoints.metadata.annotations or {})


def _wanted(endpoints: Endpoints, family: str) -> Mapping[Ports, Sequence[Endpoint]]:
    wanted: dict[Ports, list[Endpoint]] = {}
    for subset in endpoints.subsets or ():
        mirrored = [
            _endpoint(address, ready=ready)
            for address, ready in _addresses(subset)
            if (":" in address.ip) == (family == "IPv6")
        ]
        ports = tuple(_port(port) for port in subset.ports or ())
        wanted.setdefault(ports, []).extend(mirrored[:MAX_PER_SUBSET])
    return wanted


def _addresses(subset: EndpointSubset) -> Iterable[tuple[EndpointAddress, bool]]:
    for address in subset.addresses or ():
        yield address, True
    for address in subset.not_ready_addresses or ():
        yield address, False


def _endpoint(address: EndpointAddress, *, ready: bool) -> Endpoint:
    return Endpoint(
        addresses=(address.ip,),
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname or None,
        node_name=address.node_name,
        target_ref=address.target_ref,
    )


def _port(port: EndpointsPort) -> EndpointPort:
    return EndpointPort(name=port.name, protocol=port.protocol, port=port.port, app_protocol=port.app_protocol)


def _blank(endpoints: Endpoints, family: str) -> EndpointSlice:
    meta = endpoints.metadata
    annotations = {name: value for name, value in (meta.annotations or {}).items() if name not in _NOT_COPIED}
    return EndpointSlice(
        metadata=ObjectMeta(
            namespace=meta.namespace,
            generate_name=f"{meta.name}-",
            labels=(meta.labels or {}) | {SERVICE_NAME_LABEL: meta.name, MANAGED_BY: CONTROLLER_NAME},
            annotations=annotations or None,
            owner_references=(controller_reference(ENDPOINTS, meta),),
        ),
        address_type=family,
    )


def _delete(found: EndpointSlice) -> Delete:
    return Delete(ENDPOINTSLICES, key_of(found.metadata), found.metadata.uid)
