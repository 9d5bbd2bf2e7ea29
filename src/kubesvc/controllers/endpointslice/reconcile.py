"""From a Service, its pods and its slices to the writes that make the slices right."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from kubesvc.api.resources import ENDPOINTSLICES, SERVICES
from kubesvc.api.views import Endpoint, EndpointSlice, Node, ObjectMeta, Pod, Service
from kubesvc.controllers.changes import Change, Create, Delete, Document, Update
from kubesvc.controllers.endpointslice.endpoints import (
    Ports,
    belongs,
    endpoint_for,
    families,
    is_headless,
    resolve_ports,
)
from kubesvc.controllers.endpointslice.packing import TRIGGER_TIME, Plan, plan_slices
from kubesvc.controllers.meta import SERVICE_NAME_LABEL, controller_reference, is_controlled_by, key_of, plain

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER_NAME = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
_RESERVED = (MANAGED_BY, SERVICE_NAME_LABEL, HEADLESS)


@dataclass(frozen=True, slots=True)
class Inputs:
    """`pods` are those the selector matches; `slices` those of this Service that this controller manages."""

    service: Service
    pods: Sequence[Pod]
    nodes: Mapping[str, Node]
    slices: Sequence[EndpointSlice]
    trigger_time: str | None = None


def has_endpoints(service: Service) -> bool:
    """Whether endpoints are kept for this Service: it selects pods and is more than a DNS alias."""
    return service.spec.type != "ExternalName" and bool(service.spec.selector)


def reconcile(inputs: Inputs) -> list[Change]:
    service = inputs.service
    if not has_endpoints(service):
        return []
    wanted_families = families(service)
    changes: list[Change] = []
    usable: dict[str, list[EndpointSlice]] = {family: [] for family in wanted_families}
    for found in inputs.slices:
        if found.metadata.deletion_timestamp is not None:
            continue
        if found.address_type in usable and is_controlled_by(found.metadata, service.metadata.uid):
            usable[found.address_type].append(found)
        else:
            changes.append(_delete(found))
    for family, existing in usable.items():
        blank = _blank(service, family, inputs.trigger_time)
        plan = plan_slices(blank, existing, _wanted(inputs, family))
        _ensure_placeholder(blank, existing, plan)
        changes += changes_of(plan, may_create=service.metadata.deletion_timestamp is None)
    return changes


def changes_of(plan: Plan, *, may_create: bool = True) -> Iterable[Change]:
    if may_create:
        for new in plan.creates:
            yield Create(ENDPOINTSLICES, slice_document(new))
    for changed in plan.updates:
        yield Update(ENDPOINTSLICES, slice_document(changed))
    for gone in plan.deletes:
        yield _delete(gone)


def slice_document(endpoint_slice: EndpointSlice) -> Document:
    body: Document = plain(endpoint_slice)
    body["endpoints"] = body.get("endpoints") or []
    body["ports"] = body.get("ports") or []
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"} | body


def _wanted(inputs: Inputs, family: str) -> Mapping[Ports, Sequence[Endpoint]]:
    service = inputs.service
    wanted: dict[Ports, list[Endpoint]] = {}
    for pod in sorted(inputs.pods, key=lambda pod: pod.metadata.name):
        if not belongs(pod):
            continue
        node = inputs.nodes.get(pod.spec.node_name)
        # A pod of a node that is gone is about to be collected; it must not hold up the others.
        if pod.spec.node_name and node is None and not service.spec.publish_not_ready_addresses:
            continue
        endpoint = endpoint_for(service, pod, node, family)
        if endpoint is not None:
            wanted.setdefault(resolve_ports(service, pod), []).append(endpoint)
    return wanted


def _blank(service: Service, family: str, trigger_time: str | None) -> EndpointSlice:
    meta = service.metadata
    labels = {name: value for name, value in (meta.labels or {}).items() if name not in _RESERVED}
    labels |= {SERVICE_NAME_LABEL: meta.name, MANAGED_BY: CONTROLLER_NAME}
    if is_headless(service):
        labels[HEADLESS] = ""
    return EndpointSlice(
        metadata=ObjectMeta(
            namespace=meta.namespace,
            generate_name=f"{meta.name}-",
            labels=labels,
            annotations={TRIGGER_TIME: trigger_time} if trigger_time else None,
            owner_references=(controller_reference(SERVICES, meta),),
        ),
        address_type=family,
        endpoints=(),
        ports=(),
    )


def _ensure_placeholder(blank: EndpointSlice, existing: Sequence[EndpointSlice], plan: Plan) -> None:
    """Keep one empty slice per family, so that "no endpoints" is a fact and not an absence."""
    if plan.creates or plan.updates or plan.kept:
        return
    for index, found in enumerate(plan.deletes):
        same_labels = found.metadata.labels == blank.metadata.labels
        if not found.endpoints and not found.ports and same_labels:
            plan.kept.append(plan.deletes.pop(index))
            return
    if plan.deletes:
        reused = plan.deletes.pop(0)
        plan.updates.append(
            msgspec.structs.replace(
                blank,
                metadata=msgspec.structs.replace(
                    reused.metadata,
                    labels=blank.metadata.labels,
                    annotations=blank.metadata.annotations,
                    owner_references=blank.metadata.owner_references,
                ),
            )
        )
    elif not existing:
        plan.creates.append(blank)


def _delete(found: EndpointSlice) -> Delete:
    return Delete(ENDPOINTSLICES, key_of(found.metadata), found.metadata.uid)
