"""Columns, and what a printer of one resource is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubesvc.apiserver.printers.age import age_since

Document = Mapping[str, Any]
Cell = str | int
Cells = list[Cell]

NONE = "<none>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; those with priority 1 are shown by `-o wide` only."""

    name: str
    description: str
    type: str = "string"
    format: str = ""
    priority: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


@dataclass(frozen=True, slots=True)
class Printer:
    """The columns of a resource and how one object fills them; `conditions` mark finished rows."""

    columns: Sequence[Column]
    cells: Callable[[Document, datetime], Cells]
    conditions: Callable[[Document], list[dict[str, str]]] | None = None


NAME = Column("Name", "The object's name, unique in its namespace.", format="name")
AGE = Column("Age", "How long ago the object was created.")


def wide(name: str, description: str, *, format_: str = "") -> Column:
    return Column(name, description, format=format_, priority=1)


def name_of(obj: Document) -> str:
    return str(obj["metadata"].get("name", ""))


def age_of(obj: Document, now: datetime) -> str:
    return age_since(obj["metadata"].get("creationTimestamp"), now)


def part(obj: Document, field: str) -> Document:
    """The object at `field`, or an empty one."""
    return obj.get(field) or {}


def format_labels(labels: Mapping[str, str] | None) -> str:
    """`a=b,c=d` in order of keys, `<none>` without any."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def join_some(items: Sequence[str], count: int, limit: int = 3) -> str:
    """At most `limit` items, then how many of `count` are not shown."""
    text = ",".join(items[:limit])
    return f"{text} + {count - limit} more..." if count > limit else text
