"""The quality-of-service class of a pod, from its requests and limits (Pod QoS, API reference)."""

from collections.abc import Iterator
from typing import Any

from kubesvc.api.quantity import parse_quantity

_COUNTED = ("cpu", "memory")


def qos_class(spec: dict[str, Any]) -> str:
    """`Guaranteed`, `Burstable` or `BestEffort`."""
    resources = list(_resources(spec))
    if not any(_amounts(entry, field) for entry in resources for field in ("requests", "limits")):
        return "BestEffort"
    return "Guaranteed" if all(map(_is_fixed, resources)) else "Burstable"


def _resources(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            yield container.get("resources") or {}


def _amounts(entry: dict[str, Any], field: str) -> dict[str, str]:
    """The counted resources with an amount above zero; what cannot be read is left to validation."""
    found = {}
    for name in _COUNTED:
        try:
            amount = parse_quantity((entry.get(field) or {}).get(name) or 0)
        except ValueError:
            continue
        if amount.value:
            found[name] = str(amount.value)
    return found


def _is_fixed(entry: dict[str, Any]) -> bool:
    """Both resources limited, and the requests no less than the limits."""
    limits = _amounts(entry, "limits")
    requests = _amounts(entry, "requests")
    return len(limits) == len(_COUNTED) and all(requests.get(name, limit) == limit for name, limit in limits.items())
