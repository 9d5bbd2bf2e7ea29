"""OpenAPI definitions of the schema table's types, for either version of the specification.

The two dialects differ in where definitions live and in how a reference carries more than itself:
OpenAPI 2 takes siblings of `$ref`, OpenAPI 3 wraps it in `allOf`. Kubernetes' own extensions
(`x-kubernetes-…`) tell clients the kinds, the merge keys and the list types.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubesvc.api.table import Field, Form, SchemaType, Shape, schema
from kubesvc.apiserver.descriptions import DESCRIPTIONS, ENUMS, TYPE_META

Definition = dict[str, Any]

_PACKAGES = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta",
    "runtime": "io.k8s.apimachinery.pkg.runtime",
    "resource": "io.k8s.apimachinery.pkg.api.resource",
    "intstr": "io.k8s.apimachinery.pkg.util.intstr",
}
_SCALARS: dict[Form, Definition] = {
    Form.STRING: {"type": "string"},
    Form.BOOL: {"type": "boolean"},
    Form.INT32: {"type": "integer", "format": "int32"},
    Form.INT64: {"type": "integer", "format": "int64"},
    Form.BYTES: {"type": "string", "format": "byte"},
}
_SPECIAL: dict[Form, Definition] = {
    Form.TIME: {"type": "string", "format": "date-time"},
    Form.MICRO_TIME: {"type": "string", "format": "date-time"},
    Form.QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    Form.INT_OR_STRING: {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    Form.ANY: {"type": "object"},
    Form.FIELDS_V1: {"type": "object"},
    Form.STRINGS: {"type": "array", "items": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one version of OpenAPI refers to definitions and writes unions."""

    prefix: str
    wraps_references: bool
    has_unions: bool

    def reference(self, type_name: str) -> Definition:
        return {"$ref": f"{self.prefix}{definition_name(type_name)}"}

    def special(self, form: Form) -> Definition:
        """A type that is not an object with fields; OpenAPI 2 has no unions and calls them strings."""
        definition = dict(_SPECIAL[form])
        if not self.has_unions and definition.pop("oneOf", None):
            definition["type"] = "string"
        return definition


V2 = Dialect("#/definitions/", wraps_references=False, has_unions=False)
V3 = Dialect("#/components/schemas/", wraps_references=True, has_unions=True)


def definition_name(type_name: str) -> str:
    """`core.v1.Service` is published as `io.k8s.api.core.v1.Service`."""
    package, _, rest = type_name.partition(".")
    return f"{_PACKAGES.get(package, f'io.k8s.api.{package}')}.{rest}"


def definitions(roots: Iterable[str], dialect: Dialect) -> dict[str, Definition]:
    """The definitions of `roots` and of every type they lead to, sorted by name."""
    return {definition_name(name): _define(schema()[name], dialect) for name in sorted(_reachable(roots))}


def _reachable(roots: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            kind = schema()[name]
            inner = kind.fields.values() if kind.form is Form.OBJECT else ()
            waiting += [field.type for field in inner if field.form not in _SCALARS]
    return seen


def _define(kind: SchemaType, dialect: Dialect) -> Definition:
    definition: Definition = {"description": DESCRIPTIONS.get(kind.name, "")}
    if kind.form is not Form.OBJECT:
        return _tidy(definition | dialect.special(kind.form))
    definition["type"] = "object"
    definition["properties"] = _properties(kind, dialect)
    definition["required"] = [name for name, field in kind.fields.items() if field.required]
    if kind.gvk:
        definition["x-kubernetes-group-version-kind"] = [gvk(*kind.gvk)]
    if kind.atomic:
        definition["x-kubernetes-map-type"] = "atomic"
    return _tidy(definition)


def gvk(group: str, version: str, kind: str) -> dict[str, str]:
    """The value of `x-kubernetes-group-version-kind`."""
    return {"group": group, "kind": kind, "version": version}


def _properties(kind: SchemaType, dialect: Dialect) -> dict[str, Definition]:
    properties: dict[str, Definition] = {}
    if kind.carries_type_meta:
        properties = {name: {"description": text, "type": "string"} for name, text in TYPE_META.items()}
    for name, field in kind.fields.items():
        properties[name] = _property(kind, field, dialect)
    return dict(sorted(properties.items()))


def _property(owner: SchemaType, field: Field, dialect: Dialect) -> Definition:
    path = f"{owner.name}.{field.name}"
    value = _value(field, dialect)
    if values := ENUMS.get(path):
        value["enum"] = list(values)
    if field.shape is Shape.LIST:
        value = {"type": "array", "items": value}
    elif field.shape is Shape.MAP:
        value = {"type": "object", "additionalProperties": value}
    elif "$ref" in value and dialect.wraps_references:
        value = {"allOf": [value]}
    description = DESCRIPTIONS.get(path) or DESCRIPTIONS.get(f"*.{field.name}", "")
    return _tidy({"description": description} | value | _extensions(field))


def _value(field: Field, dialect: Dialect) -> Definition:
    if field.form in _SCALARS:
        return dict(_SCALARS[field.form])
    return dialect.reference(field.type)


def _extensions(field: Field) -> Definition:
    return {
        "x-kubernetes-list-map-keys": list(field.list_map_keys),
        "x-kubernetes-list-type": field.list_type,
        "x-kubernetes-map-type": "atomic" if field.atomic and field.shape is Shape.MAP else "",
        "x-kubernetes-patch-merge-key": field.patch_merge_key,
        "x-kubernetes-patch-strategy": ",".join(sorted(field.patch_strategies)),
    }


def _tidy(definition: Definition) -> Definition:
    return {key: value for key, value in definition.items() if value not in ("", [])}
