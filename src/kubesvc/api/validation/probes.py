"""Probes and lifecycle hooks: one handler each, sensible numbers."""

from typing import Any

from kubesvc.api.names import check_header_name
from kubesvc.api.validation.errors import (
    FieldError,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubesvc.api.validation.service import validate_port_reference

Document = dict[str, Any]

_SCHEMES = frozenset({"HTTP", "HTTPS"})
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def validate_probes(container: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in _PROBES:
        probe, place = container.get(field), f"{path}.{field}"
        if probe is None:
            continue
        errors += _validate_probe(probe, place)
        grace, threshold = probe.get("terminationGracePeriodSeconds"), probe.get("successThreshold") or 0
        if field != "readinessProbe" and threshold != 1:
            errors.append(invalid(f"{place}.successThreshold", threshold, "must be 1"))
        if field == "readinessProbe" and grace is not None:
            problem = "must not be set for readinessProbes"
            errors.append(invalid(f"{place}.terminationGracePeriodSeconds", grace, problem))
        elif grace is not None and grace <= 0:
            errors.append(invalid(f"{place}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    return errors


def _validate_probe(probe: Document, path: str) -> list[FieldError]:
    errors = _validate_handler(probe, path, ("exec", "httpGet", "tcpSocket", "grpc"))
    for field in _COUNTS:
        count = probe.get(field) or 0
        if count < 0:
            errors.append(invalid(f"{path}.{field}", count, "must be greater than or equal to 0"))
    return errors


def validate_lifecycle(lifecycle: Document, path: str, *, grace: int) -> list[FieldError]:
    """`grace` bounds how long a sleep may be, in seconds."""
    errors: list[FieldError] = []
    for field in ("postStart", "preStop"):
        handler, place = lifecycle.get(field), f"{path}.{field}"
        if handler is None:
            continue
        errors += _validate_handler(handler, place, ("exec", "httpGet", "tcpSocket", "sleep"))
        seconds = (handler.get("sleep") or {}).get("seconds") or 0
        if not 0 <= seconds <= grace:
            problem = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            errors.append(invalid(f"{place}.sleep.seconds", seconds, problem))
    return errors


def _validate_handler(handler: Document, path: str, kinds: tuple[str, ...]) -> list[FieldError]:
    given = [kind for kind in kinds if handler.get(kind) is not None]
    if not given:
        return [required(path, "must specify a handler type")]
    errors = [forbidden(f"{path}.{kind}", "may not specify more than 1 handler type") for kind in given[1:]]
    for kind in given[:1]:
        errors += _validate_action(kind, handler[kind], f"{path}.{kind}")
    return errors


def _validate_action(kind: str, action: Document, path: str) -> list[FieldError]:
    if kind == "exec":
        return [] if action.get("command") else [required(f"{path}.command")]
    if kind == "httpGet":
        return _validate_http_get(action, path)
    if kind in ("tcpSocket", "grpc"):
        return validate_port_reference(action.get("port", 0), f"{path}.port")
    return []


def _validate_http_get(action: Document, path: str) -> list[FieldError]:
    errors = [] if action.get("path") else [required(f"{path}.path")]
    errors += validate_port_reference(action.get("port", 0), f"{path}.port")
    scheme = action.get("scheme") or ""
    if scheme not in _SCHEMES:
        errors.append(not_supported(f"{path}.scheme", scheme, _SCHEMES))
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        errors += each_invalid(f"{path}.httpHeaders", name, check_header_name(name))
    return errors
