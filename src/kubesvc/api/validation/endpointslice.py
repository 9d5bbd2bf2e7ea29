"""EndpointSlices (discovery.k8s.io/v1; KEP-752)."""

from collections.abc import Container, Sequence
from typing import Any

from kubesvc.api.addresses import parse_lenient_ip
from kubesvc.api.names import check_label, check_label_value, check_qualified, check_subdomain
from kubesvc.api.validation.errors import (
    FieldError,
    duplicate,
    each_invalid,
    not_supported,
    required,
    too_many,
)
from kubesvc.api.validation.ips import ip_problems, ordinary_ip_problems
from kubesvc.api.validation.meta import unchanged
from kubesvc.api.validation.service import PROTOCOLS

Document = dict[str, Any]

ADDRESS_TYPES = frozenset({"FQDN", "IPv4", "IPv6"})
MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
MAX_PORTS = 20000
MAX_HINTS = 8


def validate_endpoint_slice(slice_: Document, old: Document | None = None) -> list[FieldError]:
    """Addresses that `old` already has may keep an outdated spelling; the address type never changes."""
    kind = slice_.get("addressType") or ""
    errors: list[FieldError] = []
    if not kind:
        errors.append(required("addressType"))
    elif kind not in ADDRESS_TYPES:
        errors.append(not_supported("addressType", kind, ADDRESS_TYPES))
    if old is not None:
        errors += unchanged(kind, old.get("addressType"), "addressType")
    known = {address for endpoint in (old or {}).get("endpoints") or () for address in endpoint.get("addresses") or ()}
    endpoints = slice_.get("endpoints") or ()
    if len(endpoints) > MAX_ENDPOINTS:
        return [*errors, too_many("endpoints", len(endpoints), MAX_ENDPOINTS)]
    for index, endpoint in enumerate(endpoints):
        errors += _validate_endpoint(endpoint, kind, known, f"endpoints[{index}]")
    return errors + _validate_ports(slice_.get("ports") or ())


def _validate_endpoint(endpoint: Document, kind: str, known: Container[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    addresses = endpoint.get("addresses") or ()
    if not addresses:
        errors.append(required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > MAX_ADDRESSES:
        errors.append(too_many(f"{path}.addresses", len(addresses), MAX_ADDRESSES))
    for index, address in enumerate(addresses):
        errors += each_invalid(f"{path}.addresses[{index}]", address, _address_problems(address, kind, known))
    node, hostname = endpoint.get("nodeName"), endpoint.get("hostname")
    if node is not None:
        errors += each_invalid(f"{path}.nodeName", node, check_subdomain(node))
    if hostname is not None:
        errors += each_invalid(f"{path}.hostname", hostname, check_label(hostname))
    hints = endpoint.get("hints") or {}
    errors += _validate_hints(hints.get("forZones") or (), f"{path}.hints.forZones")
    return errors + _validate_hints(hints.get("forNodes") or (), f"{path}.hints.forNodes")


def _address_problems(address: str, kind: str, known: Container[str]) -> list[str]:
    if kind == "FQDN":
        return _domain_problems(address.removesuffix("."))
    parsed = parse_lenient_ip(address)
    if kind in ("IPv4", "IPv6") and (parsed is None or f"IPv{parsed.version}" != kind):
        return [f"must be a valid {kind} address"]
    return ip_problems(address, known) or ordinary_ip_problems(address)


def _domain_problems(name: str) -> list[str]:
    if problems := check_subdomain(name):
        return problems
    return [] if "." in name else ["should be a domain with at least two segments separated by dots"]


def _validate_hints(hints: Sequence[Document], path: str) -> list[FieldError]:
    if len(hints) > MAX_HINTS:
        return [too_many(path, len(hints), MAX_HINTS)]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, hint in enumerate(hints):
        name, place = hint.get("name") or "", f"{path}[{index}].name"
        errors += each_invalid(place, name, check_label_value(name) if name else ["must be non-empty"])
        if name in seen:
            errors.append(duplicate(place, name))
        seen.add(name)
    return errors


def _validate_ports(ports: Sequence[Document]) -> list[FieldError]:
    if len(ports) > MAX_PORTS:
        return [too_many("ports", len(ports), MAX_PORTS)]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name") or ""
        if name:
            errors += each_invalid(f"{path}.name", name, check_label(name))
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        if port.get("protocol") is None:
            errors.append(required(f"{path}.protocol"))
        elif port["protocol"] not in PROTOCOLS:
            errors.append(not_supported(f"{path}.protocol", port["protocol"], PROTOCOLS))
        if port.get("appProtocol") is not None:
            errors += each_invalid(f"{path}.appProtocol", port["appProtocol"], check_qualified(port["appProtocol"]))
    return errors
