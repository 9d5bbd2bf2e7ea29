"""Events: they live in the namespace of what they speak of."""

from typing import Any

from kubesvc.api.validation.errors import FieldError, invalid

Document = dict[str, Any]


def validate_event(event: Document, old: Document | None = None) -> list[FieldError]:
    """Events of cluster-scoped objects live in `default`."""
    own = event["metadata"].get("namespace") or ""
    involved = (event.get("involvedObject") or {}).get("namespace") or ""
    if own == involved or (not involved and own in ("", "default")):
        return []
    return [invalid("involvedObject.namespace", involved, "does not match event.namespace")]
