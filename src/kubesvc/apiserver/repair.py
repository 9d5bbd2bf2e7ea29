"""Comparing what Services say they have with what is recorded as given (KEP-1880, "repair loop").

A record that a Service should have and has not is made again; one whose Service is gone, or does not say so,
is given back. Decided from the newest state of everything, staged writes included, so nothing is in between.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubesvc.api import resources as r
from kubesvc.api.times import parse_time
from kubesvc.apiserver import cluster_ips, node_ports
from kubesvc.apiserver.documents import Document, from_record
from kubesvc.apiserver.keys import NODE_PORTS, prefix_of
from kubesvc.store.types import Backend, Record, Write

_ORPHAN_AGE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Allocations:
    """Everything allocated, as three views: by the Services themselves, as IPAddresses, as node port rows."""

    services: Sequence[Document]
    addresses: Mapping[str, Record]
    ports: Mapping[int, Record]


def read_allocations(backend: Backend) -> Allocations:
    """The views at this moment."""
    prefix = prefix_of(r.IPADDRESSES)
    return Allocations(
        [from_record(record) for record in backend.list(prefix_of(r.SERVICES)).records],
        {record.key.removeprefix(prefix): record for record in backend.list(prefix).records},
        {int(record.key.removeprefix(NODE_PORTS)): record for record in backend.list(NODE_PORTS).records},
    )


def plan_repair(found: Allocations, *, now: datetime, new_uid: Callable[[], str]) -> Sequence[Write]:
    """The writes that make the records agree with the Services; none when they do."""
    prefix = prefix_of(r.IPADDRESSES)
    ips = {
        key.removeprefix(prefix): (service, ip)
        for service in found.services
        for key, ip in zip(
            cluster_ips.address_keys(service["spec"]), cluster_ips.addresses_of(service["spec"]), strict=True
        )
    }
    ports = {port: service for service in found.services for port in node_ports.node_ports_of(service["spec"])}
    lost = [owner for name, owner in ips.items() if name not in found.addresses]
    return [
        *(cluster_ips.record_of(service, ip, new_uid(), now) for service, ip in lost),
        *(_drop(record) for name, record in found.addresses.items() if name not in ips and _is_orphan(record, now)),
        *(node_ports.record_of(service, port) for port, service in ports.items() if port not in found.ports),
        *(_drop(record) for port, record in found.ports.items() if port not in ports),
    ]


def _is_orphan(record: Record, now: datetime) -> bool:
    """Ours, and not so new that its Service may still be on its way from another server."""
    metadata = from_record(record)["metadata"]
    born = parse_time(metadata["creationTimestamp"])
    return (metadata.get("labels") or {}).get(
        cluster_ips.MANAGED_BY_LABEL
    ) == cluster_ips.MANAGED_BY and now - born > _ORPHAN_AGE


def _drop(record: Record) -> Write:
    return Write(record.key, None, record.revision)
