"""Documents held against the schema table: what is unknown, repeated, or the same as absent; types are `typecheck`'s.

Each function walks a decoded JSON document and the table side by side. Paths are written as
upstream's strict decoder writes them: `spec.ports[0].targetport`.
"""

import json
from collections.abc import Iterator
from typing import Any

from kubesvc.api.table import Field, Form, Schema, SchemaType, Shape, schema
from kubesvc.api.typecheck import FREE_FORMS, INT_RANGES, TYPE_META, check_types, require_types, values_of

__all__ = [
    "Field", "Form", "Schema", "SchemaType", "Shape", "check_types", "duplicate_fields", "normalize", "require_types",
    "schema", "unknown_fields",
]  # fmt: skip


# Unknown and repeated fields


def unknown_fields(obj: dict[str, Any], type_name: str) -> list[str]:
    """Paths of the fields `type_name` does not have, in document order: `["spec.foo", "spec.ports[0].bar"]`."""
    return list(_unknown(obj, schema()[type_name], ""))


def _unknown(obj: dict[str, Any], kind: SchemaType, path: str) -> Iterator[str]:
    fields = kind.fields
    for name, value in obj.items():
        field = fields.get(name)
        if field is None:
            if not (name in TYPE_META and kind.carries_type_meta):
                yield f"{path}{name}"
        elif field.form is Form.OBJECT and value:
            yield from _unknown_within(field, value, f"{path}{name}")


def _unknown_within(field: Field, value: Any, path: str) -> Iterator[str]:
    kind = schema()[field.type]
    for suffix, part in values_of(field, value):
        if isinstance(part, dict):
            yield from _unknown(part, kind, f"{path}{suffix}.")


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written: keys may repeat."""


def duplicate_fields(body: bytes) -> list[str]:
    """Paths of the keys a JSON text repeats within one object. Raises ValueError where it is not JSON."""
    return list(_duplicates(json.loads(body, object_pairs_hook=_Pairs), ""))


def _duplicates(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            here = f"{path}.{key}" if path else key
            if key in seen:
                yield here
            seen.add(key)
            yield from _duplicates(item, here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _duplicates(item, f"{path}[{index}]")


# Absence


def normalize(obj: dict[str, Any], type_name: str) -> dict[str, Any]:
    """A copy of `obj` as the API keeps it: no nulls, no unknown fields, no zeros that mean absence.

    Zeros stay where they differ from absence (`replicas: 0`, `ready: false`) or the field is required.
    `obj` must have passed `check_types`. Idempotent.
    """
    return _normalize(obj, schema()[type_name])


def _normalize(obj: dict[str, Any], kind: SchemaType) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in obj.items():
        field = kind.fields.get(name)
        if field is None:
            if name in TYPE_META and kind.carries_type_meta and value is not None:
                out[name] = value
        elif value is not None and not (field.omits_zero and not value) and not _is_empty(field, value):
            out[name] = _normalize_field(value, field)
    return out


def _is_empty(field: Field, value: Any) -> bool:
    return field.shape is not Shape.ONE and not field.required and not value


def _normalize_field(value: Any, field: Field) -> Any:
    if field.form in FREE_FORMS:
        return value
    if field.shape is Shape.LIST:
        return [_normalize_value(item, field) for item in value]
    if field.shape is Shape.MAP:
        return {key: _normalize_value(item, field) for key, item in value.items()}
    return _normalize_value(value, field)


def _normalize_value(value: Any, field: Field) -> Any:
    if field.form is Form.OBJECT:
        return _normalize(value or {}, schema()[field.type])
    if value is None:
        return _ZEROS.get(field.form, "")
    if isinstance(value, float) and field.form in INT_RANGES:
        return int(value)
    return value


_ZEROS: dict[Form, Any] = {Form.BOOL: False, Form.INT32: 0, Form.INT64: 0, Form.INT_OR_STRING: 0, Form.QUANTITY: "0"}
