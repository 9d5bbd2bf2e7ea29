"""Objects parsed once into rows: what names need, and small enough to hand to another process.

A row is the whole of what the answering side ever learns about an object.
"""

from collections.abc import Iterable
from ipaddress import ip_address

import msgspec

from kubesvc.api.resources import Key
from kubesvc.dns.objects import Endpoint, EndpointSlice, Pod, Service

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_FINISHED = ("Succeeded", "Failed")


class Port(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A port under the names it has in DNS: `http`, `tcp`; an unnamed one has name ""."""

    name: str
    protocol: str
    number: int


class ServiceRow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="service"):
    """A Service. `addresses` are its ClusterIPs, packed; empty when headless or ExternalName."""

    namespace: str
    name: str
    headless: bool = False
    addresses: tuple[bytes, ...] = ()
    ports: tuple[Port, ...] = ()
    external_name: str = ""

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


class SliceRow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="slice"):
    """The ready endpoints of a slice: packed addresses, and beside each its hostname or "".

    A slice of type FQDN has `targets` instead.
    """

    namespace: str
    service: str
    name: str
    addresses: tuple[bytes, ...] = ()
    hostnames: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    targets: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.service)


class NamespaceRow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="namespace"):
    name: str
    exists: bool = True


class PodRow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="pod"):
    """A pod's addresses; held only where pod names are verified."""

    namespace: str
    name: str
    addresses: tuple[bytes, ...] = ()


class ServiceGone(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="no-service"):
    namespace: str
    name: str


class SliceGone(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="no-slice"):
    namespace: str
    service: str
    name: str


Row = ServiceRow | SliceRow | NamespaceRow | PodRow | ServiceGone | SliceGone


def service_row(service: Service) -> ServiceRow:
    """Parse a Service; raises ValueError when an address is none."""
    spec, meta = service.spec, service.metadata
    ports = tuple(Port(p.name.lower(), p.protocol.lower(), p.port) for p in spec.ports or ())
    if spec.type == "ExternalName":
        return ServiceRow(meta.namespace, meta.name, external_name=spec.external_name.removesuffix("."))
    given = spec.cluster_ips or ((spec.cluster_ip,) if spec.cluster_ip else ())
    if "None" in given:
        return ServiceRow(meta.namespace, meta.name, headless=True, ports=ports)
    return ServiceRow(meta.namespace, meta.name, addresses=tuple(_pack(given)), ports=ports)


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
    ports = tuple(
        Port((p.name or "").lower(), (p.protocol or "TCP").lower(), p.port) for p in slice_.ports or () if p.port
    )
    ready = [e for e in slice_.endpoints or () if e.conditions.ready is not False]
    if slice_.address_type == "FQDN":
        targets = tuple(address.removesuffix(".") for e in ready for address in e.addresses)
        return SliceRow(meta.namespace, service, meta.name, ports=ports, targets=targets)
    pairs = [(packed, _hostname(e, pod_names=pod_names)) for e in ready for packed in _pack(e.addresses)]
    return SliceRow(
        meta.namespace, service, meta.name, tuple(p for p, _ in pairs), tuple(h for _, h in pairs), ports
    )  # fmt: skip


def pod_row(pod: Pod) -> PodRow:
    """Parse a pod; one that has ended, or lives on its node's address, has no addresses of its own."""
    meta, status = pod.metadata, pod.status
    if status.phase in _FINISHED or pod.spec.host_network:
        return PodRow(meta.namespace, meta.name)
    given = [p.ip for p in status.pod_ips or ()] or [status.pod_ip]
    return PodRow(meta.namespace, meta.name, tuple(_pack(ip for ip in given if ip)))


def _pack(addresses: Iterable[str]) -> Iterable[bytes]:
    return (ip_address(address).packed for address in addresses)


def _hostname(endpoint: Endpoint, *, pod_names: bool) -> str:
    if endpoint.hostname:
        return endpoint.hostname.lower()
    target = endpoint.target_ref
    if pod_names and target is not None and target.kind == "Pod" and len(target.name) <= 63:
        return target.name
    return ""


def dashed(address: bytes) -> str:
    """The name of an endpoint that has no hostname: `10-0-0-1`, `fd00-10--1`; unique per address."""
    if len(address) == 4:
        return "-".join(map(str, address))
    text = str(ip_address(address)).replace(":", "-")
    # A label neither begins nor ends with a hyphen.
    return f"{'0' if text.startswith('-') else ''}{text}{'0' if text.endswith('-') else ''}"


def undashed(label: str) -> bytes | None:
    """The address that a dashed label spells, or None."""
    text = label.replace("-", ".") if label.count("-") == 3 and label.replace("-", "").isdigit() else ""
    try:
        return ip_address(text or label.replace("-", ":")).packed
    except ValueError:
        return None
