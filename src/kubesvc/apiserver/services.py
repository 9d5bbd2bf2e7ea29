"""Services: addresses and node ports are allocated with the Service's own write and released with it."""

from collections.abc import Iterable, Sequence

from kubesvc.api import resources as r
from kubesvc.api.validation import invalid_error
from kubesvc.apiserver.cluster_ips import ClusterIPs, address_keys
from kubesvc.apiserver.documents import Document
from kubesvc.apiserver.families import complete_families
from kubesvc.apiserver.keys import key_of
from kubesvc.apiserver.kinds import Kind
from kubesvc.apiserver.node_ports import NodePorts, port_keys
from kubesvc.store.types import Backend, Write


class ServiceKind(Kind):
    """A Service. What it holds it keeps through updates, until it says otherwise or goes."""

    returns_deleted = True
    creates_on_update = True

    def __init__(self, backend: Backend, addresses: ClusterIPs, ports: NodePorts) -> None:
        self._backend = backend
        self._addresses = addresses
        self._ports = ports

    def allocate(self, document: Document, old: Document | None) -> Sequence[Write]:
        spec, before = document["spec"], old["spec"] if old else {}
        errors = complete_families(spec, self._addresses.families())
        if errors:
            raise invalid_error(r.SERVICES, document["metadata"].get("name", ""), errors)
        writes = [
            *self._addresses.allocate(document, before),
            *self._ports.allocate(document, before, creating=old is None),
        ]
        kept = set(_held(spec))
        return writes + self._drop_all(key for key in _held(before) if key not in kept)

    def release(self, old: Document) -> Sequence[Write]:
        metadata = old["metadata"]
        return self._drop_all((*_held(old["spec"]), key_of(r.ENDPOINTS, metadata["namespace"], metadata["name"])))

    def _drop_all(self, keys: Iterable[str]) -> list[Write]:
        """Deletes of those of the keys that are there."""
        records = [self._backend.latest(key) for key in keys]
        return [Write(record.key, None, record.revision) for record in records if record]


def _held(spec: Document) -> Sequence[str]:
    """The keys of everything allocated to a Service."""
    return [*address_keys(spec), *port_keys(spec)]
