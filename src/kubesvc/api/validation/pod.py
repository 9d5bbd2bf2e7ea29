"""Pods: the spec as a whole (API reference, PodSpec); containers, volumes and DNS have modules of their own."""

from typing import Any

from kubesvc.api.names import (
    check_label,
    check_label_value,
    check_qualified,
    check_subdomain,
    out_of_range,
)
from kubesvc.api.validation.container import validate_containers
from kubesvc.api.validation.errors import (
    FieldError,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubesvc.api.validation.labels import validate_labels
from kubesvc.api.validation.pod_dns import validate_dns, validate_host_aliases
from kubesvc.api.validation.volumes import validate_volumes

Document = dict[str, Any]

RESTART_POLICIES = ("Always", "OnFailure", "Never")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_MAX_INT32 = 2**31 - 1
AT_LEAST_ZERO = "must be greater than or equal to 0"


def validate_pod(pod: Document, old: Document | None = None) -> list[FieldError]:
    """A new pod, metadata aside."""
    spec = pod.get("spec") or {}
    errors = validate_pod_spec(spec, "spec")
    if spec.get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        errors.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return errors


def validate_pod_spec(spec: Document, path: str) -> list[FieldError]:
    """The spec of a pod or of a pod template."""
    errors, volumes = validate_volumes(spec.get("volumes") or (), f"{path}.volumes")
    errors += validate_containers(spec, volumes, path)
    errors += _validate_restart_policy(spec, path)
    errors += validate_dns(spec, path)
    errors += _validate_names(spec, path)
    errors += _validate_times(spec, path)
    errors += validate_host_aliases(spec.get("hostAliases") or (), f"{path}.hostAliases")
    errors += validate_labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        errors += each_invalid(f"{path}.readinessGates[{index}].conditionType", kind, check_qualified(kind))
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        errors += _validate_toleration(toleration, f"{path}.tolerations[{index}]")
    return errors


def _validate_restart_policy(spec: Document, path: str) -> list[FieldError]:
    policy, place = spec.get("restartPolicy") or "", f"{path}.restartPolicy"
    if not policy:
        return [required(place)]
    return [] if policy in RESTART_POLICIES else [not_supported(place, policy, RESTART_POLICIES)]


def _validate_names(spec: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field, check in (
        ("serviceAccountName", check_subdomain),
        ("nodeName", check_subdomain),
        ("hostname", check_label),
        ("subdomain", check_label),
    ):
        value = spec.get(field)
        if value:
            errors += each_invalid(f"{path}.{field}", value, check(value))
    for index, reference in enumerate(spec.get("imagePullSecrets") or ()):
        if not reference.get("name"):
            errors.append(required(f"{path}.imagePullSecrets[{index}].name"))
    return errors


def _validate_times(spec: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    deadline, grace = spec.get("activeDeadlineSeconds"), spec.get("terminationGracePeriodSeconds")
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, out_of_range(1, _MAX_INT32)))
    if grace is not None and grace < 0:
        errors.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, AT_LEAST_ZERO))
    return errors


def _validate_toleration(toleration: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    key, operator, value = (toleration.get(field) or "" for field in ("key", "operator", "value"))
    effect, seconds = toleration.get("effect") or "", toleration.get("tolerationSeconds")
    if key:
        errors += each_invalid(f"{path}.key", key, check_qualified(key))
    elif operator != "Exists":
        problem = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(invalid(f"{path}.operator", operator, problem))
    if seconds is not None and effect != "NoExecute":
        problem = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(invalid(f"{path}.effect", effect, problem))
    if operator in ("", "Equal"):
        errors += each_invalid(f"{path}.value", value, check_label_value(value))
    elif operator != "Exists":
        errors.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    elif value:
        errors.append(invalid(f"{path}.operator", toleration, "value must be empty when `operator` is 'Exists'"))
    if effect and effect not in _EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, _EFFECTS))
    return errors
