"""Reaching into JSON documents whose fields may be absent or null."""

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]


def ensure(parent: Document, field: str, default: Any) -> Any:
    """`parent[field]`, set to `default` first where it is absent or null."""
    value = parent.get(field)
    if value is None:
        value = parent[field] = default
    return value


def ensure_filled(parent: Document, field: str, default: Any) -> None:
    """Set `parent[field]` where it is absent, null, empty or zero."""
    if not parent.get(field):
        parent[field] = default


def each(parent: Document, field: str) -> Iterator[Document]:
    """The objects of a list that may be absent."""
    return (item for item in parent.get(field) or () if isinstance(item, dict))


def child(parent: Document, field: str) -> Document:
    """The object at `field`, or an empty one that is not attached."""
    return parent.get(field) or {}
