"""Documents held against the schema table: what is unknown, mistyped, repeated, or the same as absent.

Each function walks a decoded JSON document and the table side by side. Paths are written as
upstream's decoder writes them: `spec.ports[0].targetport` for strict errors, `spec.ports.port`
(no indices) for type errors.
"""

import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

from kubesvc.api.status import BadRequest
from kubesvc.api.table import Field, Form, Schema, SchemaType, Shape, schema

__all__ = [
    "Field", "Form", "Schema", "SchemaType", "Shape", "check_types", "duplicate_fields", "normalize", "require_types",
    "schema", "unknown_fields",
]  # fmt: skip

_TYPE_META = ("apiVersion", "kind")
_FREE_FORMS = frozenset({Form.ANY, Form.FIELDS_V1})
_INT_RANGES = {Form.INT32: (-(2**31), 2**31 - 1), Form.INT64: (-(2**63), 2**63 - 1)}
_QUANTITY = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d([.,]\d+)?([Zz]|[+-]\d\d:\d\d)")


# Unknown and repeated fields


def unknown_fields(obj: dict[str, Any], type_name: str) -> list[str]:
    """Paths of the fields `type_name` does not have, in document order: `["spec.foo", "spec.ports[0].bar"]`."""
    return list(_unknown(obj, schema()[type_name], ""))


def _unknown(obj: dict[str, Any], kind: SchemaType, path: str) -> Iterator[str]:
    fields = kind.fields
    for name, value in obj.items():
        field = fields.get(name)
        if field is None:
            if not (name in _TYPE_META and kind.carries_type_meta):
                yield f"{path}{name}"
        elif field.form is Form.OBJECT and value:
            yield from _unknown_within(field, value, f"{path}{name}")


def _unknown_within(field: Field, value: Any, path: str) -> Iterator[str]:
    kind = schema()[field.type]
    for suffix, part in _parts(field, value):
        if isinstance(part, dict):
            yield from _unknown(part, kind, f"{path}{suffix}.")


def _parts(field: Field, value: Any) -> Iterator[tuple[str, Any]]:
    """The single values a field holds, each with what its path adds: `[0]`, `.key`, or nothing."""
    if field.shape is Shape.ONE:
        yield "", value
    elif field.shape is Shape.LIST and isinstance(value, list):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    elif field.shape is Shape.MAP and isinstance(value, dict):
        for key, item in value.items():
            yield f".{key}", item


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


# Types


def check_types(obj: Any, type_name: str) -> list[str]:
    """Sentences about values the API's decoder would refuse, in document order; empty when all fit.

    `json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32`
    """
    kind = schema()[type_name]
    if not isinstance(obj, dict):
        return [f"json: cannot unmarshal {_json_kind(obj)} into Go value of type {_go_name(type_name)}"]
    return list(_mistyped(obj, kind, ""))


def require_types(obj: Any, type_name: str) -> None:
    """Raise BadRequest, worded as upstream words it, if `obj` does not decode as `type_name`."""
    problems = check_types(obj, type_name)
    if not problems:
        return
    kind = schema()[type_name]
    group, version, name = kind.gvk or ("", "v1", kind.short_name)
    group_version = f"{group}/{version}" if group else version
    raise BadRequest(f'{name} in version "{group_version}" cannot be handled as a {name}: {problems[0]}')


def _mistyped(obj: dict[str, Any], kind: SchemaType, path: str) -> Iterator[str]:
    for name in _TYPE_META:
        if kind.carries_type_meta and not isinstance(obj.get(name, ""), str):
            yield _refusal(obj[name], f"{kind.short_name}.{path}{name}", "string")
    for name, value in obj.items():
        field = kind.fields.get(name)
        if field is not None and value is not None:
            yield from _mistyped_field(value, field, kind, f"{path}{name}")


def _mistyped_field(value: Any, field: Field, owner: SchemaType, path: str) -> Iterator[str]:
    place = f"{owner.short_name}.{path}"
    if field.shape is Shape.LIST and not isinstance(value, list):
        yield _refusal(value, place, f"[]{_go_name(field.type)}")
    elif field.shape is Shape.MAP and not isinstance(value, dict):
        yield _refusal(value, place, f"map[string]{_go_name(field.type)}")
    else:
        for _, part in _parts(field, value):
            if part is not None:
                yield from _mistyped_value(part, field, place, path)


def _mistyped_value(value: Any, field: Field, place: str, path: str) -> Iterator[str]:
    form = field.form
    if form is Form.OBJECT:
        if isinstance(value, dict):
            yield from _mistyped(value, schema()[field.type], f"{path}.")
        else:
            yield _refusal(value, place, _go_name(field.type))
    elif form in _INT_RANGES:
        if problem := _check_integer(value, form, place):
            yield problem
    elif form is Form.BOOL:
        if not isinstance(value, bool):
            yield _refusal(value, place, "bool")
    elif form is Form.STRINGS:
        if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            yield _refusal(value, place, "[]string")
    elif form not in _FREE_FORMS and (problem := _check_text(value, field, place)):
        yield problem


def _check_integer(value: Any, form: Form, place: str) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return _refusal(value, place, form)
    low, high = _INT_RANGES[form]
    return (
        ""
        if low <= value <= high
        else f"json: cannot unmarshal number {value} into Go struct field {place} of type {form}"
    )


def _check_text(value: Any, field: Field, place: str) -> str:
    """Forms written as strings (and, for quantities and ports, as numbers)."""
    form = field.form
    if form in (Form.QUANTITY, Form.INT_OR_STRING) and isinstance(value, int) and not isinstance(value, bool):
        return _check_integer(value, Form.INT32, place) if form is Form.INT_OR_STRING else ""
    if form is Form.QUANTITY and isinstance(value, float):
        return ""
    if not isinstance(value, str):
        return _refusal(value, place, "int32" if form is Form.INT_OR_STRING else _go_name(field.type))
    if form is Form.QUANTITY and value and not _QUANTITY.fullmatch(value):
        return f"{place}: {value!r} is not a quantity such as 500m, 1.5 or 64Mi"
    if form in (Form.TIME, Form.MICRO_TIME) and not _TIME.fullmatch(value):
        return f'{place}: parsing time "{value}" as "2006-01-02T15:04:05Z07:00": not in that form'
    if form is Form.BYTES and not _is_base64(value):
        return f"{place}: illegal base64 data"
    return ""


def _is_base64(text: str) -> bool:
    try:
        binascii.a2b_base64(text.replace("\n", "").replace("\r", ""), strict_mode=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _refusal(value: Any, place: str, wanted: str) -> str:
    return f"json: cannot unmarshal {_json_kind(value)} into Go struct field {place} of type {wanted}"


def _json_kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "number"
        case float():
            return f"number {value}"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return "null"


def _go_name(type_name: str) -> str:
    """`core.v1.ServicePort` is `v1.ServicePort` to Go."""
    return type_name.partition(".")[2] if type_name.count(".") == 2 else type_name


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
            if name in _TYPE_META and kind.carries_type_meta and value is not None:
                out[name] = value
        elif value is not None and not (field.omits_zero and not value) and not _is_empty(field, value):
            out[name] = _normalize_field(value, field)
    return out


def _is_empty(field: Field, value: Any) -> bool:
    return field.shape is not Shape.ONE and not field.required and not value


def _normalize_field(value: Any, field: Field) -> Any:
    if field.form in _FREE_FORMS:
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
    if isinstance(value, float) and field.form in _INT_RANGES:
        return int(value)
    return value


_ZEROS: dict[Form, Any] = {Form.BOOL: False, Form.INT32: 0, Form.INT64: 0, Form.INT_OR_STRING: 0, Form.QUANTITY: "0"}
