"""Objects to rows, once, when they arrive. What many objects have in common is held once."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from sys import intern

from kubesvc.dns.objects import Endpoint, EndpointSlice, Pod, Service
from kubesvc.dns.rows import SERVICE_NAME_LABEL, PodRow, Port, ServiceRow, SliceRow
from kubesvc.dns.wire import MAX_LABEL

_OCTETS = {str(number): number for number in range(256)}
_FINISHED = ("Succeeded", "Failed")


@lru_cache(maxsize=4096)
def _ports(ports: tuple[tuple[str, str, int], ...]) -> tuple[Port, ...]:
    return tuple(Port(name.lower(), protocol.lower(), number) for name, protocol, number in ports)


def service_row(service: Service) -> ServiceRow:
    """Parse a Service; raises ValueError when an address is none."""
    spec, meta = service.spec, service.metadata
    namespace, name = intern(meta.namespace), meta.name
    ports = _ports(tuple((p.name, p.protocol, p.port) for p in spec.ports or ()))
    if spec.type == "ExternalName":
        return ServiceRow(namespace, name, external_name=spec.external_name.removesuffix("."))
    given = spec.cluster_ips or ((spec.cluster_ip,) if spec.cluster_ip else ())
    if "None" in given:
        return ServiceRow(namespace, name, headless=True, ports=ports)
    return ServiceRow(namespace, name, addresses=tuple(_pack(given)), ports=ports)


def slice_row(slice_: EndpointSlice, *, pod_names: bool = False) -> SliceRow | None:
    """Parse a slice; None when it belongs to no Service. Raises ValueError when an address is none.

    Readiness is the slice's word alone: the controller already says `ready` for everything behind
    a Service that publishes addresses which are not. With `pod_names` an endpoint without a
    hostname goes by the name of its pod.
    """
    meta = slice_.metadata
    service = (meta.labels or {}).get(SERVICE_NAME_LABEL, "")
    if not service:
        return None
    namespace = intern(meta.namespace)
    ports = _ports(tuple((p.name or "", p.protocol or "TCP", p.port) for p in slice_.ports or () if p.port))
    ready = [e for e in slice_.endpoints or () if e.conditions.ready is not False]
    if slice_.address_type == "FQDN":
        targets = tuple(address.removesuffix(".") for e in ready for address in e.addresses)
        return SliceRow(namespace, service, meta.name, ports=ports, targets=targets)
    pairs = [(packed, _hostname(e, pod_names=pod_names)) for e in ready for packed in _pack(e.addresses)]
    hostnames = tuple(h for _, h in pairs) if any(h for _, h in pairs) else ()
    return SliceRow(namespace, service, meta.name, tuple(p for p, _ in pairs), hostnames, ports)


def pod_row(pod: Pod) -> PodRow:
    """Parse a pod; one that has ended, or lives on its node's address, has no addresses of its own."""
    meta, status = pod.metadata, pod.status
    if status.phase in _FINISHED or pod.spec.host_network:
        return PodRow(meta.namespace, meta.name)
    given = [p.ip for p in status.pod_ips or ()] or [status.pod_ip]
    return PodRow(meta.namespace, meta.name, tuple(_pack(ip for ip in given if ip)))


def _pack(addresses: Iterable[str]) -> Iterable[bytes]:
    return map(_packed, addresses)


def _packed(address: str) -> bytes:
    # A third of what reading a cluster costs would go into addresses of IPv4 written the usual way.
    try:
        a, b, c, d = address.split(".")
        return bytes((_OCTETS[a], _OCTETS[b], _OCTETS[c], _OCTETS[d]))
    except (ValueError, KeyError):
        return ip_address(address).packed


def _hostname(endpoint: Endpoint, *, pod_names: bool) -> str:
    if endpoint.hostname and len(endpoint.hostname) <= MAX_LABEL:
        return endpoint.hostname.lower()
    target = endpoint.target_ref
    if pod_names and target is not None and target.kind == "Pod" and len(target.name) <= MAX_LABEL:
        return target.name
    return ""
