"""Containers: names, images, ports, mounts, resources."""

from collections.abc import Iterator, Sequence
from typing import Any

from kubesvc.api.names import check_label, check_port_name, check_port_number
from kubesvc.api.quantity import parse_quantity
from kubesvc.api.validation.env import validate_env
from kubesvc.api.validation.errors import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from kubesvc.api.validation.probes import validate_lifecycle, validate_probes
from kubesvc.api.validation.service import PROTOCOLS
from kubesvc.api.validation.volumes import validate_relative_path

Document = dict[str, Any]

_PULL_POLICIES = frozenset({"Always", "IfNotPresent", "Never"})
_MESSAGE_POLICIES = frozenset({"File", "FallbackToLogsOnError"})


def validate_containers(spec: Document, volumes: set[str], path: str) -> list[FieldError]:
    """All containers of a pod; `volumes` are the names mounts may refer to."""
    errors: list[FieldError] = []
    if not spec.get("containers"):
        errors.append(required(f"{path}.containers"))
    seen: set[str] = set()
    for container, place in _each_container(spec, path):
        name = container.get("name") or ""
        errors += each_invalid(f"{place}.name", name, check_label(name)) if name else [required(f"{place}.name")]
        if name and name in seen:
            errors.append(duplicate(f"{place}.name", name))
        seen.add(name)
        errors += _validate_container(container, place, volumes, grace=spec.get("terminationGracePeriodSeconds") or 0)
    return errors + _validate_init_containers(spec, path) + _validate_host_ports(spec, path)


def _each_container(spec: Document, path: str) -> Iterator[tuple[Document, str]]:
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield container, f"{path}.{field}[{index}]"


def _validate_container(container: Document, path: str, volumes: set[str], *, grace: int) -> list[FieldError]:
    errors = _validate_image(container, path)
    errors += _validate_ports(container.get("ports") or (), f"{path}.ports")
    errors += validate_env(container, path)
    errors += _validate_mounts(container.get("volumeMounts") or (), volumes, f"{path}.volumeMounts")
    errors += validate_probes(container, path)
    errors += validate_lifecycle(container.get("lifecycle") or {}, f"{path}.lifecycle", grace=grace)
    policy = container.get("terminationMessagePolicy")
    if policy and policy not in _MESSAGE_POLICIES:
        errors.append(not_supported(f"{path}.terminationMessagePolicy", policy, _MESSAGE_POLICIES))
    return errors + _validate_resources(container.get("resources") or {}, f"{path}.resources")


def _validate_image(container: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    image, policy = container.get("image") or "", container.get("imagePullPolicy") or ""
    if not image:
        errors.append(required(f"{path}.image"))
    elif image != image.strip():
        errors.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    if not policy:
        errors.append(required(f"{path}.imagePullPolicy"))
    elif policy not in _PULL_POLICIES:
        errors.append(not_supported(f"{path}.imagePullPolicy", policy, _PULL_POLICIES))
    return errors


def _validate_ports(ports: Sequence[Document], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        place, name, number = f"{path}[{index}]", port.get("name") or "", port.get("containerPort") or 0
        if name:
            errors += each_invalid(f"{place}.name", name, check_port_name(name))
            if name in seen:
                errors.append(duplicate(f"{place}.name", name))
            seen.add(name)
        if number:
            errors += each_invalid(f"{place}.containerPort", number, check_port_number(number))
        else:
            errors.append(required(f"{place}.containerPort"))
        if port.get("hostPort"):
            errors += each_invalid(f"{place}.hostPort", port["hostPort"], check_port_number(port["hostPort"]))
        if not port.get("protocol"):
            errors.append(required(f"{place}.protocol"))
        elif port["protocol"] not in PROTOCOLS:
            errors.append(not_supported(f"{place}.protocol", port["protocol"], PROTOCOLS))
    return errors


def _validate_mounts(mounts: Sequence[Document], volumes: set[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        place, name, target = f"{path}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            errors.append(required(f"{place}.name"))
        elif name not in volumes:
            errors.append(not_found(f"{place}.name", name))
        if not target:
            errors.append(required(f"{place}.mountPath"))
        elif target in seen:
            errors.append(invalid(f"{place}.mountPath", target, "must be unique"))
        seen.add(target)
        if mount.get("subPath"):
            errors += validate_relative_path(mount["subPath"], f"{place}.subPath")
    return errors


def _validate_resources(resources: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            try:
                negative = parse_quantity(amount).value < 0
            except ValueError as unreadable:
                errors.append(invalid(f"{path}.{field}[{name}]", amount, str(unreadable)))
                continue
            if negative:
                errors.append(invalid(f"{path}.{field}[{name}]", amount, "must be greater than or equal to 0"))
    if errors:
        return errors
    for name in requests.keys() & limits.keys():
        if parse_quantity(requests[name]) > parse_quantity(limits[name]):
            problem = f"must be less than or equal to {name} limit of {limits[name]}"
            errors.append(invalid(f"{path}.requests", requests[name], problem))
    return errors


def _validate_init_containers(spec: Document, path: str) -> list[FieldError]:
    """Init containers run to completion, so they have no probes, unless they restart always (KEP-753)."""
    errors: list[FieldError] = []
    for index, container in enumerate(spec.get("initContainers") or ()):
        place, policy = f"{path}.initContainers[{index}]", container.get("restartPolicy")
        if policy == "Always":
            continue
        if policy:
            errors.append(not_supported(f"{place}.restartPolicy", policy, ("Always",)))
        for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if container.get(field) is not None:
                problem = "may not be set for init containers without restartPolicy=Always"
                errors.append(forbidden(f"{place}.{field}", problem))
    return errors


def _validate_host_ports(spec: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    taken: set[tuple[str, int, str]] = set()
    for index, container in enumerate(spec.get("containers") or ()):
        for number, port in enumerate(container.get("ports") or ()):
            host, place = port.get("hostPort") or 0, f"{path}.containers[{index}].ports[{number}]"
            if spec.get("hostNetwork") and host != port.get("containerPort"):
                problem = "must match `hostPort` when `hostNetwork` is true"
                errors.append(invalid(f"{place}.containerPort", port.get("containerPort"), problem))
            key = (port.get("protocol") or "", host, port.get("hostIP") or "")
            if host and key in taken:
                errors.append(duplicate(f"{place}.hostPort", f"{key[0]}/{key[2]}/{host}"))
            taken.add(key)
    return errors
