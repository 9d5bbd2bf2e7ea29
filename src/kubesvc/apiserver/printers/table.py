"""Tables: rows for objects, with as much of the objects as the client asked for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kubesvc.api import resources as r
from kubesvc.apiserver.printers import cluster, configuration, pods, services, workloads
from kubesvc.apiserver.printers.columns import AGE, NAME, Cells, Column, Document, Printer, age_of, name_of

_PRINTERS: dict[r.Resource, Printer] = {
    r.PODS: pods.PODS,
    r.SERVICES: services.SERVICES,
    r.ENDPOINTS: services.ENDPOINTS,
    r.ENDPOINTSLICES: services.ENDPOINTSLICES,
    r.SERVICECIDRS: services.SERVICECIDRS,
    r.IPADDRESSES: services.IPADDRESSES,
    r.DEPLOYMENTS: workloads.DEPLOYMENTS,
    r.REPLICASETS: workloads.REPLICASETS,
    r.NODES: cluster.NODES,
    r.NAMESPACES: cluster.NAMESPACES,
    r.LEASES: cluster.LEASES,
    r.EVENTS: cluster.EVENTS,
    r.CONFIGMAPS: configuration.CONFIGMAPS,
    r.SECRETS: configuration.SECRETS,
    r.SERVICEACCOUNTS: configuration.SERVICEACCOUNTS,
}


def _plain_cells(obj: Document, now: datetime) -> Cells:
    return [name_of(obj), age_of(obj, now)]


_PLAIN = Printer((NAME, AGE), _plain_cells)


def table_columns(resource: r.Resource) -> Sequence[Column]:
    """The columns of a resource, the wide ones last."""
    return _PRINTERS.get(resource, _PLAIN).columns


def table(
    resource: r.Resource,
    objects: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    include_object: str = "Metadata",
    with_headers: bool = True,
    resource_version: str = "",
    continue_token: str = "",
    remaining: int | None = None,
) -> dict[str, Any]:
    """The Table of `objects`; `include_object` is `None`, `Metadata` or `Object`, as in the query.

    In a watch only the first table has headers. Ages are counted to `now` (with a time zone).
    """
    printer = _PRINTERS.get(resource, _PLAIN)
    metadata: dict[str, Any] = {"resourceVersion": resource_version}
    if continue_token:
        metadata["continue"] = continue_token
    if remaining is not None:
        metadata["remainingItemCount"] = remaining
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [column.as_dict() for column in printer.columns] if with_headers else [],
        "rows": [_row(printer, resource, obj, now, include_object) for obj in objects],
    }


def _row(printer: Printer, resource: r.Resource, obj: Document, now: datetime, include: str) -> dict[str, Any]:
    row: dict[str, Any] = {"cells": printer.cells(obj, now)}
    conditions = printer.conditions(obj) if printer.conditions else []
    if conditions:
        row["conditions"] = conditions
    if include == "Object":
        row["object"] = {"kind": resource.kind, "apiVersion": resource.group_version, **obj}
    elif include != "None":
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": obj["metadata"],
        }
    return row
