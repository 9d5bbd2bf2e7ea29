"""What is known of the cluster, indexed the way names ask for it.

`apply` takes one row and costs time in proportion to that row, not to the Service or the cluster.
It returns what changed as *dependencies*: whatever was answered from one of them is stale now, and
nothing else is. A dependency is the Key of a Service (present or not), the Key of a namespace
("" and its name), or a packed address.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kubesvc.api.resources import Key
from kubesvc.dns import rows, wire
from kubesvc.dns.rows import Row, ServiceRow, SliceRow

Dependency = Key | bytes
REVERSE_V4 = wire.name_from_text("in-addr.arpa")
REVERSE_V6 = wire.name_from_text("ip6.arpa")


@dataclass(frozen=True, slots=True)
class Policy:
    """How names are made. `pods` is "disabled", "insecure" or "verified", as CoreDNS has it."""

    domain: str = "cluster.local"
    ttl: int = 5
    pods: str = "insecure"
    ns_name: str = "kube-dns.kube-system.svc"
    serial: int = 1


class View:
    """Services, their slices, namespaces and (where verified) pods."""

    def __init__(self, policy: Policy = Policy()) -> None:
        self.policy = policy
        self.domain = wire.name_from_text(policy.domain)
        self.zones = [(zone, wire.labels_of(zone)) for zone in (self.domain, REVERSE_V4, REVERSE_V6)]
        self.ns_name = wire.name_from_text(f"{policy.ns_name}.{policy.domain}")
        self.services: dict[Key, ServiceRow] = {}
        self._shared_keys: dict[Key, Key] = {}
        self._slices: dict[Key, tuple[SliceRow, ...]] = {}
        # One Key alone, as nearly always, stands without a tuple around it: there are many.
        self._by_address: dict[bytes, Key | list[Key]] = {}
        self._namespaces: set[str] = set()
        self._services_in: Counter[str] = Counter()
        self._pods: dict[Key, tuple[bytes, ...]] = {}
        self._pods_by_address: dict[bytes, Key | list[Key]] = {}
        self._appliers: dict[type[Row], Callable[[Any], Iterable[Dependency]]] = {
            rows.ServiceRow: self._put_service,
            rows.ServiceGone: self._forget_service,
            rows.SliceRow: self._put_slice,
            rows.SliceGone: self._forget_slice,
            rows.NamespaceRow: self._put_namespace,
            rows.PodRow: self._put_pod,
        }

    def apply(self, row: Row) -> Iterable[Dependency]:
        """Take in one row; the dependencies whose answers it may change."""
        return self._appliers[type(row)](row)

    def slices(self, key: Key) -> Iterable[SliceRow]:
        """The slices of a Service, in a stable order."""
        return self._slices.get(key, ())

    def has_namespace(self, name: str) -> bool:
        """Whether anything may have a name below this namespace."""
        return name in self._namespaces or name in self._services_in

    def services_at(self, address: bytes) -> Iterator[ServiceRow]:
        """The Services that have `address` as ClusterIP or as a ready endpoint, each once."""
        for key in dict.fromkeys(_keys(self._by_address, address)):
            service = self.services.get(key)
            if service is not None:
                yield service

    def has_pod(self, namespace: str, address: bytes) -> bool:
        return any(key.namespace == namespace for key in _keys(self._pods_by_address, address))

    def _shared(self, key: Key) -> Key:
        """The one Key object that all indexes hold for this Service."""
        return self._shared_keys.setdefault(key, key)

    def _release(self, key: Key) -> None:
        if key not in self.services and key not in self._slices:
            self._shared_keys.pop(key, None)

    def _forget_service(self, row: rows.ServiceGone) -> list[Dependency]:
        key = Key(row.namespace, row.name)
        stale = self._drop_service(key)
        self._release(key)
        return stale

    def _forget_slice(self, row: rows.SliceGone) -> list[Dependency]:
        key = Key(row.namespace, row.service)
        stale = self._drop_slice(key, row.name)
        self._release(key)
        return stale

    def _put_service(self, row: ServiceRow) -> list[Dependency]:
        key = self._shared(row.key)
        stale = self._drop_service(key)
        self.services[key] = row
        self._services_in[key.namespace] += 1
        for address in row.addresses:
            _add(self._by_address, address, key)
        return [*stale, Key("", key.namespace), *row.addresses, *self._endpoint_addresses(key)]

    def _drop_service(self, key: Key) -> list[Dependency]:
        row = self.services.pop(key, None)
        if row is None:
            return [key]
        self._services_in[key.namespace] -= 1
        if not self._services_in[key.namespace]:
            del self._services_in[key.namespace]
        for address in row.addresses:
            _remove(self._by_address, address, key)
        return [key, Key("", key.namespace), *row.addresses, *self._endpoint_addresses(key)]

    def _endpoint_addresses(self, key: Key) -> Iterator[bytes]:
        for slice_ in self.slices(key):
            yield from slice_.addresses

    def _put_slice(self, row: SliceRow) -> list[Dependency]:
        key = self._shared(row.key)
        stale = self._drop_slice(key, row.name)
        # A dict of one is most of what a small Service would cost.
        self._slices[key] = (*self._slices.get(key, ()), row)
        for address in row.addresses:
            _add(self._by_address, address, key)
        return [*stale, *row.addresses]

    def _drop_slice(self, key: Key, name: str) -> list[Dependency]:
        held = self._slices.get(key, ())
        row = next((slice_ for slice_ in held if slice_.name == name), None)
        if row is None:
            return [key]
        left = tuple(slice_ for slice_ in held if slice_ is not row)
        if left:
            self._slices[key] = left
        else:
            del self._slices[key]
        for address in row.addresses:
            _remove(self._by_address, address, key)
        return [key, *row.addresses]

    def _put_namespace(self, row: rows.NamespaceRow) -> list[Dependency]:
        if row.exists:
            self._namespaces.add(row.name)
        else:
            self._namespaces.discard(row.name)
        return [Key("", row.name)]

    def _put_pod(self, row: rows.PodRow) -> list[Dependency]:
        key = Key(row.namespace, row.name)
        before = self._pods.pop(key, ())
        for address in before:
            _remove(self._pods_by_address, address, key)
        for address in row.addresses:
            _add(self._pods_by_address, address, key)
        if row.addresses:
            self._pods[key] = row.addresses
        return [*before, *row.addresses]


def _keys(index: dict[bytes, Key | list[Key]], address: bytes) -> Sequence[Key]:
    held = index.get(address, ())
    return (held,) if isinstance(held, Key) else held


def _add(index: dict[bytes, Key | list[Key]], address: bytes, key: Key) -> None:
    held = index.get(address)
    if held is None:
        index[address] = key
    elif isinstance(held, Key):
        index[address] = [held, key]
    else:
        held.append(key)


def _remove(index: dict[bytes, Key | list[Key]], address: bytes, key: Key) -> None:
    """Take out one occurrence: an address may stand in two slices of one Service."""
    keys = list(_keys(index, address))
    if key in keys:
        keys.remove(key)
    if len(keys) > 1:
        index[address] = keys
    elif keys:
        index[address] = keys[0]
    else:
        index.pop(address, None)
