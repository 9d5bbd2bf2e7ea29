"""Volumes of pods: one source each, relative paths, file modes."""

from collections.abc import Sequence
from typing import Any

from kubesvc.api.defaults.pod import VOLUME_SOURCES
from kubesvc.api.names import check_label
from kubesvc.api.validation.env import validate_field_ref, validate_resource_ref
from kubesvc.api.validation.errors import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)

Document = dict[str, Any]

_HOST_PATH_TYPES = frozenset({
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
})  # fmt: skip
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_DOWNWARD_FIELDS = frozenset({
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
})  # fmt: skip
_PROJECTIONS = ("configMap", "secret", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate")
_MIN_TOKEN_SECONDS = 600


def validate_volumes(volumes: Sequence[Document], path: str) -> tuple[list[FieldError], set[str]]:
    """Errors, and the names that mounts may refer to."""
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        place, name = f"{path}[{index}]", volume.get("name") or ""
        errors += each_invalid(f"{place}.name", name, check_label(name)) if name else [required(f"{place}.name")]
        if name and name in names:
            errors.append(duplicate(f"{place}.name", name))
        names.add(name)
        errors += _validate_sources(volume, place)
    return errors, names


def _validate_sources(volume: Document, path: str) -> list[FieldError]:
    given = [source for source in VOLUME_SOURCES if volume.get(source) is not None]
    if not given:
        return [required(path, "must specify a volume type")]
    errors = [forbidden(f"{path}.{source}", "may not specify more than 1 volume type") for source in given[1:]]
    check = _SOURCE_RULES.get(given[0])
    return errors + (check(volume[given[0]], f"{path}.{given[0]}") if check else [])


def _validate_config_map(source: Document, path: str) -> list[FieldError]:
    errors = [] if source.get("name") else [required(f"{path}.name")]
    return errors + _validate_mode(source, "defaultMode", path) + _validate_items(source, path)


def _validate_secret(source: Document, path: str) -> list[FieldError]:
    errors = [] if source.get("secretName") else [required(f"{path}.secretName")]
    return errors + _validate_mode(source, "defaultMode", path) + _validate_items(source, path)


def _validate_host_path(source: Document, path: str) -> list[FieldError]:
    place, kind = source.get("path") or "", source.get("type") or ""
    if not place:
        return [required(f"{path}.path")]
    errors = [] if ".." not in place.split("/") else [invalid(f"{path}.path", place, "must not contain '..'")]
    if kind not in _HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", kind, _HOST_PATH_TYPES))
    return errors


def _validate_downward(source: Document, path: str) -> list[FieldError]:
    errors = _validate_mode(source, "defaultMode", path)
    for index, item in enumerate(source.get("items") or ()):
        place, target = f"{path}.items[{index}]", item.get("path") or ""
        errors += validate_relative_path(target, f"{place}.path") if target else [required(f"{place}.path")]
        if item.get("fieldRef") is not None:
            errors += validate_field_ref(item["fieldRef"], f"{place}.fieldRef", _DOWNWARD_FIELDS)
        elif item.get("resourceFieldRef") is not None:
            errors += validate_resource_ref(item["resourceFieldRef"], f"{place}.resourceFieldRef")
        else:
            errors.append(required(place, "one of fieldRef and resourceFieldRef is required"))
        errors += _validate_mode(item, "mode", place)
    return errors


def _validate_projected(source: Document, path: str) -> list[FieldError]:
    errors = _validate_mode(source, "defaultMode", path)
    for index, projection in enumerate(source.get("sources") or ()):
        place = f"{path}.sources[{index}]"
        given = [kind for kind in _PROJECTIONS if projection.get(kind) is not None]
        if not given:
            errors.append(required(place, "must specify a volume type"))
            continue
        errors += [forbidden(f"{place}.{kind}", "may not specify more than 1 volume type") for kind in given[1:]]
        errors += _validate_projection(given[0], projection[given[0]], f"{place}.{given[0]}")
    return errors


def _validate_projection(kind: str, source: Document, path: str) -> list[FieldError]:
    if kind == "downwardAPI":
        return _validate_downward(source, path)
    if kind in ("configMap", "secret"):
        return ([] if source.get("name") else [required(f"{path}.name")]) + _validate_items(source, path)
    if kind != "serviceAccountToken":
        return []
    errors = [] if source.get("path") else [required(f"{path}.path")]
    if (source.get("expirationSeconds") or 0) < _MIN_TOKEN_SECONDS:
        problem = "may not specify a duration less than 10 minutes"
        errors.append(invalid(f"{path}.expirationSeconds", source.get("expirationSeconds"), problem))
    return errors


def _validate_items(source: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, item in enumerate(source.get("items") or ()):
        place, target = f"{path}.items[{index}]", item.get("path") or ""
        if not item.get("key"):
            errors.append(required(f"{place}.key"))
        errors += validate_relative_path(target, f"{place}.path") if target else [required(f"{place}.path")]
        errors += _validate_mode(item, "mode", place)
    return errors


def _validate_mode(source: Document, field: str, path: str) -> list[FieldError]:
    mode = source.get(field)
    return [] if mode is None or 0 <= mode <= 0o777 else [invalid(f"{path}.{field}", mode, _MODE)]


def validate_relative_path(value: str, path: str) -> list[FieldError]:
    """A path below a volume: not absolute, never upwards."""
    errors: list[FieldError] = []
    if value.startswith("/"):
        errors.append(invalid(path, value, "must be a relative path"))
    if ".." in value.split("/"):
        errors.append(invalid(path, value, "must not contain '..'"))
    return errors


_SOURCE_RULES = {
    "configMap": _validate_config_map,
    "secret": _validate_secret,
    "hostPath": _validate_host_path,
    "downwardAPI": _validate_downward,
    "projected": _validate_projected,
}
