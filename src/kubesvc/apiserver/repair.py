"""Comparing what Services say they have with what is recorded as given (KEP-1880, "repair loop").

A record that a Service should have and has not is made again; one whose Service is gone, or does not say so,
is given back. Decided from the newest state of everything, staged writes included, so nothing is in between.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubesvc.api import resources as r
from kubesvc.apiserver.documents import Document, from_record, to_value
from kubesvc.apiserver.keys import NODE_PORTS, key_of, prefix_of
from kubesvc.apiserver.services import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    addresses_of,
    ip_address_document,
    node_port_value,
    node_ports_of,
)
from kubesvc.store import Backend, Record, Write

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
    ips = {ip: service for service in found.services for ip in addresses_of(service["spec"])}
    ports = {port: service for service in found.services for port in node_ports_of(service["spec"])}
    return [
        *_missing_addresses(ips, found.addresses, now, new_uid),
        *(_drop(record) for ip, record in found.addresses.items() if ip not in ips and _is_orphan(record, now)),
        *(
            Write(f"{NODE_PORTS}{port}", node_port_value(service))
            for port, service in ports.items()
            if port not in found.ports
        ),
        *(_drop(record) for port, record in found.ports.items() if port not in ports),
    ]


def _missing_addresses(
    ips: Mapping[str, Document], recorded: Iterable[str], now: datetime, new_uid: Callable[[], str]
) -> Iterator[Write]:
    known = set(recorded)
    for ip, service in ips.items():
        if ip not in known:
            document = ip_address_document(service, ip, new_uid(), now)
            yield Write(key_of(r.IPADDRESSES, "", ip), to_value(r.IPADDRESSES, document))


def _is_orphan(record: Record, now: datetime) -> bool:
    """Ours, and not so new that its Service may still be on its way from another server."""
    metadata = from_record(record)["metadata"]
    born = datetime.fromisoformat(metadata["creationTimestamp"])
    return (metadata.get("labels") or {}).get(MANAGED_BY_LABEL) == MANAGED_BY and now - born > _ORPHAN_AGE


def _drop(record: Record) -> Write:
    return Write(record.key, None, record.revision)
