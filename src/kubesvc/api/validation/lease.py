"""Leases (coordination.k8s.io/v1)."""

from typing import Any

from kubesvc.api.validation.errors import FieldError, invalid

Document = dict[str, Any]


def validate_lease(lease: Document, old: Document | None = None) -> list[FieldError]:
    spec = lease.get("spec") or {}
    errors: list[FieldError] = []
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        errors.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    return errors
