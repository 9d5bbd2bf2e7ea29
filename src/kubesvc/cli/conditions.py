"""P: what `wait --for` can wait for, and whether an object has it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(r"\.?([A-Za-z0-9_-]+)|\[(\d+)\]|\['([^']+)'\]")


@dataclass(frozen=True, slots=True)
class Aim:
    """`kind` is condition, jsonpath, create, delete or endpoints."""

    kind: str
    path: str = ""
    value: str = ""

    def __str__(self) -> str:
        return "=".join(part for part in (self.kind, self.path, self.value) if part)


def parse_aim(text: str) -> Aim:
    """Parse `condition=Ready`, `condition=Ready=false`, `jsonpath={.a}=v`, `create`, `delete`, `endpoints=3`.

    Raises ValueError.
    """
    kind, _, rest = text.partition("=")
    if kind in ("create", "delete") and not rest:
        return Aim(kind)
    if kind == "condition" and rest:
        name, _, value = rest.partition("=")
        return Aim("condition", name, value or "True")
    if kind == "endpoints" and rest.isdecimal():
        return Aim("endpoints", value=rest)
    if kind == "jsonpath" and rest:
        path, _, value = rest.strip("'\"").partition("}")
        return Aim("jsonpath", path.lstrip("{"), value.removeprefix("="))
    raise ValueError(f"{text!r}: want condition=NAME[=VALUE], jsonpath={{.path}}=VALUE, create, delete or endpoints=N")


def holds(aim: Aim, document: dict[str, Any]) -> bool:
    """Whether the object meets the aim."""
    if aim.kind == "create":
        return True
    if aim.kind == "condition":
        conditions = (document.get("status") or {}).get("conditions") or []
        wanted = (aim.path.lower(), aim.value.lower())
        return any((c["type"].lower(), str(c["status"]).lower()) == wanted for c in conditions)
    if aim.kind == "jsonpath":
        found = look_up(document, aim.path)
        return found is not None and (not aim.value or _plain(found) == aim.value)
    return False


def look_up(document: Any, path: str) -> Any:
    """The value at a simple path such as `.status.podIP` or `.spec.ports[0].nodePort`, else None."""
    value = document
    for name, index, quoted in _STEP.findall(path):
        if index:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
        else:
            value = value.get(name or quoted) if isinstance(value, dict) else None
    return value


def count_ready(slices: Iterable[dict[str, Any]]) -> int:
    """How many distinct addresses are ready endpoints."""
    return len(
        {
            address
            for piece in slices
            for endpoint in piece.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False
            for address in endpoint.get("addresses") or ()
        }
    )


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
