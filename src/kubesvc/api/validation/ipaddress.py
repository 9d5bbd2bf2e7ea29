"""IPAddresses (networking.k8s.io/v1; KEP-1880): an address in use, named by itself, and who uses it."""

from typing import Any

from kubesvc.api.names import check_path_segment, check_subdomain
from kubesvc.api.validation.errors import FieldError, each_invalid, required
from kubesvc.api.validation.meta import unchanged

Document = dict[str, Any]

_PATH = "spec.parentRef"


def validate_ip_address(ip_address: Document, old: Document | None = None) -> list[FieldError]:
    parent = (ip_address.get("spec") or {}).get("parentRef")
    if parent is None:
        return [required(_PATH)]
    errors: list[FieldError] = []
    if parent.get("group"):
        errors += each_invalid(f"{_PATH}.group", parent["group"], check_subdomain(parent["group"]))
    for field in ("resource", "name"):
        if not parent.get(field):
            errors.append(required(f"{_PATH}.{field}"))
    for field in ("resource", "name", "namespace"):
        value = parent.get(field) or ""
        errors += each_invalid(f"{_PATH}.{field}", value, check_path_segment(value))
    if old is not None:
        errors += unchanged(parent, (old.get("spec") or {}).get("parentRef"), _PATH)
    return errors
