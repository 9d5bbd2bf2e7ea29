"""Nodes: pod CIDRs, taints, and what may change."""

from collections.abc import Sequence
from typing import Any

from kubesvc.api.addresses import family_of
from kubesvc.api.names import check_label_value, check_qualified
from kubesvc.api.validation.errors import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubesvc.api.validation.ips import cidr_problems

Document = dict[str, Any]

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_MUTABLE = ("podCIDR", "podCIDRs", "providerID", "taints", "unschedulable", "configSource")


def validate_node(node: Document, old: Document | None = None) -> list[FieldError]:
    spec, before = node.get("spec") or {}, (old or {}).get("spec") or {}
    errors = _validate_pod_cidrs(spec, before) + _validate_taints(spec.get("taints") or ())
    return errors + (_validate_changes(spec, before) if old is not None else [])


def _validate_pod_cidrs(spec: Document, before: Document) -> list[FieldError]:
    cidrs, known = spec.get("podCIDRs") or [], before.get("podCIDRs") or ()
    errors: list[FieldError] = []
    for index, cidr in enumerate(cidrs):
        errors += each_invalid(f"spec.podCIDRs[{index}]", cidr, cidr_problems(cidr, known))
    if not errors and len({family_of(cidr.partition("/")[0]) for cidr in cidrs}) < len(cidrs):
        errors.append(invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family"))
    return errors


def _validate_taints(taints: Sequence[Document]) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        path, key, effect = f"spec.taints[{index}]", taint.get("key") or "", taint.get("effect") or ""
        errors += each_invalid(f"{path}.key", key, check_qualified(key))
        value = taint.get("value") or ""
        errors += each_invalid(f"{path}.value", value, check_label_value(value))
        if not effect:
            errors.append(required(f"{path}.effect"))
        elif effect not in EFFECTS:
            errors.append(not_supported(f"{path}.effect", effect, EFFECTS))
        if (key, effect) in seen:
            errors.append(duplicate(path, taint))
        seen.add((key, effect))
    return errors


def _validate_changes(spec: Document, before: Document) -> list[FieldError]:
    errors: list[FieldError] = []
    for field, word in (("podCIDRs", "podCIDR"), ("providerID", "providerID")):
        if before.get(field) and spec.get(field) != before[field]:
            errors.append(forbidden(f"spec.{field}", f'node updates may not change {word} except from "" to valid'))
    other = (set(spec) | set(before)) - set(_MUTABLE)
    if any((spec.get(field) or None) != (before.get(field) or None) for field in other):
        errors.append(forbidden("spec", "node updates may only change labels, taints, or capacity"))
    return errors


def validate_node_status(node: Document, old: Document) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, address in enumerate((node.get("status") or {}).get("addresses") or ()):
        key = (address.get("type") or "", address.get("address") or "")
        if key in seen:
            errors.append(duplicate(f"status.addresses[{index}]", address))
        seen.add(key)
    return errors
