"""The records that a Service's endpoints make: addresses, servers, pointers."""

from collections.abc import Callable, Iterable

from kubesvc.api.resources import Key
from kubesvc.dns import records, wire
from kubesvc.dns.records import Record
from kubesvc.dns.rows import Port, ServiceRow, SliceRow, dashed, undashed
from kubesvc.dns.view import View
from kubesvc.dns.wire import Type


def service_name(view: View, key: Key) -> bytes:
    """The full name of a Service in wire form."""
    labels = [key.name.encode(), key.namespace.encode(), b"svc"]
    return wire.name_from_labels(labels)[:-1] + view.domain


def addresses(view: View, owner: bytes, key: Key, hostname: str | None = None) -> list[Record]:
    """A and AAAA of every ready endpoint, or of those that go by `hostname`; each address once."""
    found: dict[bytes, Record] = {}
    wanted = None if hostname is None else undashed(hostname)
    for slice_ in view.slices(key):
        source = _source(slice_)
        for address, own in slice_.endpoints():
            if hostname is None or own == hostname or (not own and address == wanted and dashed(address) == hostname):
                found.setdefault(address, records.address(owner, view.policy.ttl, address, source))
    return list(found.values())


def servers(
    view: View, owner: bytes, service: ServiceRow, wanted: Callable[[Port], bool]
) -> tuple[list[Record], list[Record]]:
    """SRV records of the wanted ports, and the addresses of their targets.

    With a ClusterIP: one per port, at the Service's own name. Headless: ports times endpoints,
    each at the endpoint's name and with the port it really listens on.
    """
    name, ttl = service_name(view, service.key), view.policy.ttl
    if service.headless:
        return _headless_servers(view, owner, name, service.key, wanted)
    ports = list(dict.fromkeys(port.number for port in service.ports if wanted(port)))
    source = f"service {service.key}"
    found = [records.srv(owner, ttl, 100 // len(ports), port, name, source) for port in ports]
    additional = [records.address(name, ttl, address, source) for address in service.addresses] if found else []
    return found, additional


def _headless_servers(
    view: View, owner: bytes, name: bytes, key: Key, wanted: Callable[[Port], bool]
) -> tuple[list[Record], list[Record]]:
    pairs: dict[tuple[int, str], str] = {}
    additional: dict[bytes, Record] = {}
    for slice_ in view.slices(key):
        ports = [port.number for port in slice_.ports if wanted(port)]
        if not ports:
            continue
        source = _source(slice_)
        for address, own in slice_.endpoints():
            hostname = own or dashed(address)
            pairs.update(((port, hostname), source) for port in ports)
            target = _below(hostname, name)
            additional.setdefault(address, records.address(target, view.policy.ttl, address, source))
    weight = max(100 // len(pairs), 1) if pairs else 0
    found = [
        records.srv(owner, view.policy.ttl, weight, port, _below(hostname, name), source)
        for (port, hostname), source in pairs.items()
    ]
    return found, list(additional.values())


def pointers(view: View, owner: bytes, address: bytes) -> list[Record]:
    """PTR to the Service whose ClusterIP this is, or to the endpoint's name in each of its Services.

    Headless Services come first: theirs are the names the specification asks for.
    """
    found: dict[bytes, str] = {}
    services = sorted(view.services_at(address), key=lambda service: not service.headless)
    for service in services:
        name = service_name(view, service.key)
        if address in service.addresses:
            return [Record(owner, Type.PTR, view.policy.ttl, name, f"service {service.key}")]
        for slice_ in view.slices(service.key):
            for held, own in slice_.endpoints():
                if held == address and not service.external_name:
                    found.setdefault(_below(own or dashed(address), name), _source(slice_))
    return [Record(owner, Type.PTR, view.policy.ttl, target, source) for target, source in found.items()]


def ports_in_use(view: View, service: ServiceRow) -> Iterable[Port]:
    """The ports that SRV records exist for: the Service's, or those of a headless one's endpoints."""
    if not service.headless:
        return service.ports
    return (port for slice_ in view.slices(service.key) if slice_.addresses for port in slice_.ports)


def _below(hostname: str, name: bytes) -> bytes:
    label = hostname.encode()
    return bytes((len(label),)) + label + name


def _source(slice_: SliceRow) -> str:
    return f"endpointslice {slice_.namespace}/{slice_.name}"
