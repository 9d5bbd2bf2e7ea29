"""Environment variables of containers."""

from typing import Any

from kubesvc.api.names import check_config_key, check_env_name
from kubesvc.api.validation.errors import FieldError, each_invalid, invalid, not_supported, required

Document = dict[str, Any]

_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_FIELDS = frozenset({
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
})  # fmt: skip
_SUBSCRIPTED = ("metadata.annotations['", "metadata.labels['")
_RESOURCES = frozenset({
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory",
})  # fmt: skip


def validate_env(container: Document, path: str) -> list[FieldError]:
    """`env` and `envFrom` of one container."""
    errors: list[FieldError] = []
    for index, variable in enumerate(container.get("env") or ()):
        place, name = f"{path}.env[{index}]", variable.get("name") or ""
        if not name:
            errors.append(required(f"{place}.name"))
        else:
            errors += each_invalid(f"{place}.name", name, check_env_name(name))
        if variable.get("valueFrom") is not None:
            errors += _validate_source(variable, f"{place}.valueFrom")
    for index, source in enumerate(container.get("envFrom") or ()):
        errors += _validate_env_from(source, f"{path}.envFrom[{index}]")
    return errors


def _validate_source(variable: Document, path: str) -> list[FieldError]:
    source = variable["valueFrom"]
    given = [field for field in _SOURCES if source.get(field) is not None]
    if not given:
        choices = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        return [invalid(path, "", f"must specify one of: {choices}")]
    errors: list[FieldError] = []
    if variable.get("value"):
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    if len(given) > 1:
        errors.append(invalid(path, "", "may not have more than one field specified at a time"))
    for field in given:
        errors += _validate_reference(field, source[field], f"{path}.{field}")
    return errors


def _validate_reference(field: str, reference: Document, path: str) -> list[FieldError]:
    if field == "fieldRef":
        return validate_field_ref(reference, path, _FIELDS)
    if field == "resourceFieldRef":
        return validate_resource_ref(reference, path)
    key = reference.get("key") or ""
    return each_invalid(f"{path}.key", key, check_config_key(key)) if key else [required(f"{path}.key")]


def validate_field_ref(reference: Document, path: str, supported: frozenset[str]) -> list[FieldError]:
    """A path into the pod: one of `supported`, or one label or annotation."""
    field = reference.get("fieldPath") or ""
    if not field:
        return [required(f"{path}.fieldPath")]
    if field in supported or (field.startswith(_SUBSCRIPTED) and field.endswith("']")):
        return []
    return [not_supported(f"{path}.fieldPath", field, supported)]


def validate_resource_ref(reference: Document, path: str) -> list[FieldError]:
    resource = reference.get("resource") or ""
    if not resource:
        return [required(f"{path}.resource")]
    known = resource in _RESOURCES or resource.startswith(("limits.hugepages-", "requests.hugepages-"))
    return [] if known else [not_supported(f"{path}.resource", resource, _RESOURCES)]


def _validate_env_from(source: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    prefix = source.get("prefix") or ""
    if prefix:
        errors += each_invalid(f"{path}.prefix", prefix, check_env_name(prefix))
    given = [field for field in ("configMapRef", "secretRef") if source.get(field) is not None]
    if not given:
        errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
    elif len(given) > 1:
        errors.append(invalid(path, "", "may not have more than one field specified at a time"))
    return errors + [required(f"{path}.{field}.name") for field in given if not source[field].get("name")]
