"""Namespaces: their finalizers and the phase."""

from typing import Any

from kubesvc.api.names import check_qualified
from kubesvc.api.validation.errors import FieldError, each_invalid, invalid

Document = dict[str, Any]

_STANDARD = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def validate_namespace(namespace: Document, old: Document | None = None) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, finalizer in enumerate((namespace.get("spec") or {}).get("finalizers") or ()):
        path = f"spec.finalizers[{index}]"
        errors += each_invalid(path, finalizer, check_qualified(finalizer))
        if "/" not in finalizer and finalizer not in _STANDARD:
            problem = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(path, finalizer, problem))
    return errors


def validate_namespace_status(namespace: Document, old: Document) -> list[FieldError]:
    phase = (namespace.get("status") or {}).get("phase") or ""
    if namespace["metadata"].get("deletionTimestamp"):
        problem = "may only be 'Terminating' if `deletionTimestamp` is not empty"
        return [] if phase == "Terminating" else [invalid("status.Phase", phase, problem)]
    problem = "may only be 'Active' if `deletionTimestamp` is empty"
    return [] if phase == "Active" else [invalid("status.Phase", phase, problem)]
