"""Whether a decoded document has the types the schema table says, in the words of upstream's decoder.

Places are written as Go's decoder writes them: the innermost type, then the path without indices,
`ServicePort.spec.ports.port`.
"""

import binascii
import re
from collections.abc import Iterator
from typing import Any

from kubesvc.api.status import BadRequest
from kubesvc.api.table import Field, Form, SchemaType, Shape, schema
from kubesvc.api.times import parse_time

TYPE_META = ("apiVersion", "kind")
FREE_FORMS = frozenset({Form.ANY, Form.FIELDS_V1})
INT_RANGES = {Form.INT32: (-(2**31), 2**31 - 1), Form.INT64: (-(2**63), 2**63 - 1)}
_QUANTITY = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d([.,]\d+)?([Zz]|[+-]\d\d:\d\d)")


def values_of(field: Field, value: Any) -> Iterator[tuple[str, Any]]:
    """The single values a field holds, each with what its path adds: `[0]`, `.key`, or nothing."""
    if field.shape is Shape.ONE:
        yield "", value
    elif field.shape is Shape.LIST and isinstance(value, list):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    elif field.shape is Shape.MAP and isinstance(value, dict):
        for key, item in value.items():
            yield f".{key}", item


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
    for name in TYPE_META:
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
        for _, part in values_of(field, value):
            if part is not None:
                yield from _mistyped_value(part, field, place, path)


def _mistyped_value(value: Any, field: Field, place: str, path: str) -> Iterator[str]:
    form = field.form
    if form is Form.OBJECT:
        if isinstance(value, dict):
            yield from _mistyped(value, schema()[field.type], f"{path}.")
        else:
            yield _refusal(value, place, _go_name(field.type))
    elif form in INT_RANGES:
        if problem := _check_integer(value, form, place):
            yield problem
    elif form is Form.BOOL:
        if not isinstance(value, bool):
            yield _refusal(value, place, "bool")
    elif form is Form.STRINGS:
        if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            yield _refusal(value, place, "[]string")
    elif form not in FREE_FORMS and (problem := _check_text(value, field, place)):
        yield problem


def _check_integer(value: Any, form: Form, place: str) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return _refusal(value, place, form)
    low, high = INT_RANGES[form]
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
    if form in (Form.TIME, Form.MICRO_TIME) and not _is_time(value):
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


def _is_time(text: str) -> bool:
    """Whether it has the form of a time and, unlike the 30th of February, means one."""
    if not _TIME.fullmatch(text):
        return False
    try:
        parse_time(text)
    except ValueError:
        return False
    return True
