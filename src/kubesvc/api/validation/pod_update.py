"""What may change in a pod once it exists: hardly anything."""

from collections.abc import Iterator
from typing import Any

from kubesvc.api.validation.errors import FieldError, forbidden, invalid, render_value
from kubesvc.api.validation.pod import validate_pod_spec

Document = dict[str, Any]

_CONTAINER_FIELDS = ("containers", "initContainers")
_MAX_SHOWN = 10
_MUTABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate_pod_update(new: Document, old: Document) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = validate_pod_spec(spec, "spec")
    for field in _CONTAINER_FIELDS:
        if len(spec.get(field) or ()) != len(before.get(field) or ()):
            return [*errors, forbidden(f"spec.{field}", "pod updates may not add or remove containers")]
    errors += _validate_deadline(spec, before)
    errors += _validate_tolerations(spec, before)
    changes = list(_changes(_fixed_part(spec, before), before, "spec"))
    if changes:
        listed = "\n".join(changes[:_MAX_SHOWN])
        errors.append(forbidden("spec", f"pod updates may not change fields other than {_MUTABLE}\n{listed}\n"))
    return errors


def _validate_deadline(spec: Document, before: Document) -> list[FieldError]:
    path = "spec.activeDeadlineSeconds"
    now, previous = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if previous is None:
        return []
    if now is None:
        return [invalid(path, None, "must not update from a positive integer to nil value")]
    return [invalid(path, now, "must be less than or equal to previous value")] if now > previous else []


def _validate_tolerations(spec: Document, before: Document) -> list[FieldError]:
    """All the old ones must remain; only how long they hold may change."""
    kept = [_toleration(toleration) for toleration in spec.get("tolerations") or ()]
    if all(_toleration(toleration) in kept for toleration in before.get("tolerations") or ()):
        return []
    return [forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")]


def _toleration(toleration: Document) -> Document:
    return {field: value for field, value in toleration.items() if field != "tolerationSeconds" and value}


def _fixed_part(spec: Document, before: Document) -> Document:
    """The new spec with what may change put back to what it was."""
    fixed = dict(spec)
    for field in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        fixed[field] = before.get(field)
    for field in _CONTAINER_FIELDS:
        pairs = zip(spec.get(field) or (), before.get(field) or (), strict=True)
        fixed[field] = [{**container, "image": previous.get("image")} for container, previous in pairs]
    grace = "terminationGracePeriodSeconds"
    if (before.get(grace) or 0) < 0 and spec.get(grace) == 1:
        fixed[grace] = before[grace]
    return fixed


def _changes(new: Any, old: Any, path: str) -> Iterator[str]:
    """The fields that differ, as `path: old -> new`; absent, null, empty, zero and false are alike."""
    if (new or None) == (old or None):
        return
    if isinstance(new, dict) and isinstance(old, dict):
        for field in dict.fromkeys((*old, *new)):
            yield from _changes(new.get(field), old.get(field), f"{path}.{field}")
    elif isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        for index, (item, previous) in enumerate(zip(new, old, strict=True)):
            yield from _changes(item, previous, f"{path}[{index}]")
    else:
        yield f"  {path}: {render_value(old)} -> {render_value(new)}"
