"""Endpoints (v1): subsets of addresses and ports."""

from collections.abc import Container, Iterator
from typing import Any

from kubesvc.api.names import check_label, check_port_number, check_qualified, check_subdomain
from kubesvc.api.validation.errors import FieldError, each_invalid, not_supported, required
from kubesvc.api.validation.ips import ip_problems, ordinary_ip_problems
from kubesvc.api.validation.service import PROTOCOLS

Document = dict[str, Any]

_ADDRESS_FIELDS = ("addresses", "notReadyAddresses")


def validate_endpoints(endpoints: Document, old: Document | None = None) -> list[FieldError]:
    """Addresses that `old` already has may keep an outdated spelling."""
    known = set(_known_addresses(old or {}))
    errors: list[FieldError] = []
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        errors += _validate_subset(subset, known, f"subsets[{index}]")
    return errors


def _known_addresses(endpoints: Document) -> Iterator[str]:
    for subset in endpoints.get("subsets") or ():
        for field in _ADDRESS_FIELDS:
            for address in subset.get(field) or ():
                yield address.get("ip") or ""


def _validate_subset(subset: Document, known: Container[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not any(subset.get(field) for field in _ADDRESS_FIELDS):
        errors.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
    for field in _ADDRESS_FIELDS:
        for index, address in enumerate(subset.get(field) or ()):
            errors += _validate_address(address, known, f"{path}.{field}[{index}]")
    ports = subset.get("ports") or ()
    for index, port in enumerate(ports):
        errors += _validate_port(port, f"{path}.ports[{index}]", name_needed=len(ports) > 1)
    return errors


def _validate_address(address: Document, known: Container[str], path: str) -> list[FieldError]:
    ip, hostname, node = address.get("ip") or "", address.get("hostname") or "", address.get("nodeName")
    errors = each_invalid(f"{path}.ip", ip, ip_problems(ip, known) or ordinary_ip_problems(ip))
    if hostname:
        errors += each_invalid(f"{path}.hostname", hostname, check_label(hostname))
    if node is not None:
        errors += each_invalid(f"{path}.nodeName", node, check_subdomain(node))
    return errors


def _validate_port(port: Document, path: str, *, name_needed: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    name, number, protocol = port.get("name") or "", port.get("port") or 0, port.get("protocol") or ""
    if name:
        errors += each_invalid(f"{path}.name", name, check_label(name))
    elif name_needed:
        errors.append(required(f"{path}.name"))
    errors += each_invalid(f"{path}.port", number, check_port_number(number))
    if not protocol:
        errors.append(required(f"{path}.protocol"))
    elif protocol not in PROTOCOLS:
        errors.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
    if port.get("appProtocol") is not None:
        errors += each_invalid(f"{path}.appProtocol", port["appProtocol"], check_qualified(port["appProtocol"]))
    return errors
