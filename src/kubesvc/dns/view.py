"""What is known of the cluster, indexed the way names ask for it.

`apply` takes one row and costs time in proportion to that row, not to the Service or the cluster.
It returns what changed as *dependencies*: whatever was answered from one of them is stale now, and
nothing else is. A dependency is the Key of a Service (present or not), the Key of a namespace
("" and its name), or a packed address.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any, ClassVar

from kubesvc.api.resources import Key
from kubesvc.dns import rows, wire
from kubesvc.dns.rows import Row, ServiceRow, SliceRow, pack, unpack, unpack_service, unpack_slice

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
    """Services, their slices, namespaces and (where verified) pods.

    Rows are held packed: most are never asked for, and one that is takes a microsecond to read.
    """

    def __init__(self, policy: Policy = Policy()) -> None:
        self.policy = policy
        self.domain = wire.name_from_text(policy.domain)
        self.zones = [(zone, wire.labels_of(zone)) for zone in (self.domain, REVERSE_V4, REVERSE_V6)]
        self.ns_name = wire.name_from_text(f"{policy.ns_name}.{policy.domain}")
        self._services: dict[Key, bytes] = {}
        self._keys: dict[Key, Key] = {}
        # One slice alone, as nearly always, stands without a dict by name around it: there are many.
        self._slices: dict[Key, bytes | dict[str, bytes]] = {}
        # The same holds here.
        self._by_address: dict[bytes, Key | list[Key]] = {}
        self._namespaces: set[str] = set()
        self._services_in: Counter[str] = Counter()
        self._pods: dict[Key, tuple[bytes, ...]] = {}
        self._pods_by_address: dict[bytes, Key | list[Key]] = {}

    def apply(self, row: Row | bytes) -> Iterable[Dependency]:
        """Take in one row, packed or not; the dependencies whose answers it may change."""
        row, packed = (unpack(row), row) if isinstance(row, bytes) else (row, pack(row))
        return self._APPLIERS[type(row)](self, row, packed)

    def key(self, namespace: str, name: str) -> Key:
        """The Key of this Service; where the Service or a slice is known, the one object that all who keep it share."""
        key = Key(namespace, name)
        return self._keys.get(key, key)

    def service(self, key: Key) -> ServiceRow | None:
        packed = self._services.get(key)
        return unpack_service(packed) if packed is not None else None

    def slices(self, key: Key) -> Iterable[SliceRow]:
        """The slices of a Service, in a stable order."""
        held = self._slices.get(key)
        if held is None:
            return ()
        return [unpack_slice(packed) for packed in (held.values() if isinstance(held, dict) else (held,))]

    def has_namespace(self, name: str) -> bool:
        """Whether anything may have a name below this namespace."""
        return name in self._namespaces or name in self._services_in

    def services_at(self, address: bytes) -> Iterator[ServiceRow]:
        """The Services that have `address` as ClusterIP or as a ready endpoint, each once."""
        for key in dict.fromkeys(_keys(self._by_address, address)):
            service = self.service(key)
            if service is not None:
                yield service

    def has_pod(self, namespace: str, address: bytes) -> bool:
        return any(key.namespace == namespace for key in _keys(self._pods_by_address, address))

    def _shared(self, key: Key) -> Key:
        """The one Key object that all indexes hold for this Service."""
        known = self._keys.get(key)
        if known is None:
            known = Key(intern(key.namespace), key.name)
            self._keys[known] = known
        return known

    def _release(self, key: Key) -> None:
        if key not in self._services and key not in self._slices:
            self._keys.pop(key, None)

    def _forget_service(self, row: rows.ServiceGone, _: bytes) -> list[Dependency]:
        key = Key(row.namespace, row.name)
        stale = self._drop_service(key)
        self._release(key)
        return stale

    def _forget_slice(self, row: rows.SliceGone, _: bytes) -> list[Dependency]:
        key = Key(row.namespace, row.service)
        stale = self._drop_slice(key, row.name)
        self._release(key)
        return stale

    def _put_service(self, row: ServiceRow, packed: bytes) -> list[Dependency]:
        key = self._shared(row.key)
        stale = self._drop_service(key)
        self._services[key] = packed
        self._services_in[key.namespace] += 1
        for address in row.addresses:
            _add(self._by_address, address, key)
        return [*stale, Key("", key.namespace), *row.addresses, *self._endpoint_addresses(key)]

    def _drop_service(self, key: Key) -> list[Dependency]:
        row = self.service(key)
        if row is None:
            return [key]
        del self._services[key]
        self._services_in[key.namespace] -= 1
        if not self._services_in[key.namespace]:
            del self._services_in[key.namespace]
        for address in row.addresses:
            _remove(self._by_address, address, key)
        return [key, Key("", key.namespace), *row.addresses, *self._endpoint_addresses(key)]

    def _endpoint_addresses(self, key: Key) -> Iterator[bytes]:
        for slice_ in self.slices(key):
            yield from slice_.addresses

    def _put_slice(self, row: SliceRow, packed: bytes) -> list[Dependency]:
        key = self._shared(row.key)
        stale = self._drop_slice(key, row.name)
        held = self._slices.get(key)
        if held is None:
            self._slices[key] = packed
        elif isinstance(held, dict):
            held[row.name] = packed
        else:
            self._slices[key] = {unpack_slice(held).name: held, row.name: packed}
        for address in row.addresses:
            _add(self._by_address, address, key)
        return [*stale, *row.addresses]

    def _drop_slice(self, key: Key, name: str) -> list[Dependency]:
        held = self._slices.get(key)
        packed = held.get(name) if isinstance(held, dict) else held
        row = unpack_slice(packed) if packed is not None else None
        if row is None or row.name != name:
            return [key]
        if isinstance(held, dict):
            del held[name]
        if not isinstance(held, dict) or not held:
            del self._slices[key]
        for address in row.addresses:
            _remove(self._by_address, address, key)
        return [key, *row.addresses]

    def _put_namespace(self, row: rows.NamespaceRow, _: bytes) -> list[Dependency]:
        if row.exists:
            self._namespaces.add(row.name)
        else:
            self._namespaces.discard(row.name)
        return [Key("", row.name)]

    def _put_pod(self, row: rows.PodRow, _: bytes) -> list[Dependency]:
        key = Key(row.namespace, row.name)
        before = self._pods.pop(key, ())
        for address in before:
            _remove(self._pods_by_address, address, key)
        for address in row.addresses:
            _add(self._pods_by_address, address, key)
        if row.addresses:
            self._pods[key] = row.addresses
        return [*before, *row.addresses]

    # By class, and so without a cycle: a view whose place another takes is gone at once, though the
    # collector has been told to leave it alone.
    _APPLIERS: ClassVar[dict[type[Row], Callable[[Any, Any, bytes], Iterable[Dependency]]]] = {
        rows.ServiceRow: _put_service,
        rows.ServiceGone: _forget_service,
        rows.SliceRow: _put_slice,
        rows.SliceGone: _forget_slice,
        rows.NamespaceRow: _put_namespace,
        rows.PodRow: _put_pod,
    }


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
