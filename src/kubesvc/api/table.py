"""The field table of the Kubernetes API, read once from `schema.json`: every type, its fields, their numbers.

The table is the single source of truth for what a document may hold (`api.schema`), how it looks on
the wire (`api.protobuf`), how patches merge (`api.strategic`) and what OpenAPI tells clients.
`scripts/generate_schema.py` documents the notation of the file.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import msgspec


class Shape(StrEnum):
    """How many values a field holds."""

    ONE = ""
    LIST = "[]"
    MAP = "{}"


class Form(StrEnum):
    """What one value of a type is in JSON; everything not special is an object with fields."""

    OBJECT = "object"
    STRING = "string"
    BOOL = "bool"
    INT32 = "int32"
    INT64 = "int64"
    BYTES = "base64 string"
    TIME = "time"
    MICRO_TIME = "time with microseconds"
    QUANTITY = "quantity"
    INT_OR_STRING = "integer or string"
    ANY = "any JSON value"
    FIELDS_V1 = "field set"
    STRINGS = "list of strings"


_FORMS = {
    "string": Form.STRING,
    "bool": Form.BOOL,
    "int32": Form.INT32,
    "int64": Form.INT64,
    "bytes": Form.BYTES,
    "meta.v1.Time": Form.TIME,
    "meta.v1.MicroTime": Form.MICRO_TIME,
    "meta.v1.FieldsV1": Form.FIELDS_V1,
    "meta.v1.Patch": Form.ANY,
    "meta.v1.Verbs": Form.STRINGS,
    "authentication.v1.ExtraValue": Form.STRINGS,
    "authorization.v1.ExtraValue": Form.STRINGS,
    "resource.Quantity": Form.QUANTITY,
    "intstr.IntOrString": Form.INT_OR_STRING,
    "runtime.RawExtension": Form.ANY,
}
SCALARS = frozenset({Form.STRING, Form.BOOL, Form.INT32, Form.INT64, Form.BYTES})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a type, under its JSON name."""

    name: str
    number: int
    type: str
    shape: Shape
    form: Form
    required: bool = False
    pointer: bool = False  # a scalar whose zero differs from its absence
    inline: bool = False  # on the wire a message of its own, in JSON part of its parent
    patch_strategies: frozenset[str] = frozenset()
    patch_merge_key: str = ""
    list_type: str = ""
    list_map_keys: tuple[str, ...] = ()
    atomic: bool = False

    @property
    def omits_zero(self) -> bool:
        """Whether JSON leaves the field out when it is zero, as Go's `omitempty` on a plain scalar does."""
        return not (self.pointer or self.required) and self.shape is Shape.ONE and self.form in SCALARS


@dataclass(frozen=True)
class SchemaType:
    """One type: `fields` as JSON has them (inlined ones spread out), `wire` by protobuf number."""

    name: str
    fields: Mapping[str, Field]
    wire: Mapping[int, Field]
    form: Form
    gvk: tuple[str, str, str] | None = None
    atomic: bool = False

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]

    @cached_property
    def carries_type_meta(self) -> bool:
        """Whether `apiVersion` and `kind` belong to the type's JSON."""
        return self.gvk is not None or self.short_name.endswith("Options") or "PartialObject" in self.name


class Schema:
    """The table, parsed type by type as they are asked for."""

    def __init__(self, raw: Mapping[str, Any], digest: str = "") -> None:
        self._raw = raw
        self.digest = digest
        self._types: dict[str, SchemaType] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __getitem__(self, name: str) -> SchemaType:
        """The type called `core.v1.Service`; KeyError where the table has none."""
        known = self._types.get(name)
        if known is None:
            known = self._types[name] = self._parse_type(name)
        return known

    def find(self, api_version: str, kind: str) -> SchemaType | None:
        """The type of a document by its `apiVersion` and `kind`; request options are known in every group."""
        group, _, version = api_version.rpartition("/")
        name = self._by_gvk.get((group, version, kind))
        if name is None and f"meta.v1.{kind}" in self and kind.endswith("Options"):
            name = f"meta.v1.{kind}"
        return self[name] if name else None

    @cached_property
    def _by_gvk(self) -> dict[tuple[str, str, str], str]:
        return {tuple(raw["g"]): name for name, raw in self._raw.items() if "g" in raw}

    def _parse_type(self, name: str) -> SchemaType:
        raw = self._raw[name]
        own = [self._parse_field(field, entry) for field, entry in raw["f"].items()]
        fields: dict[str, Field] = {}
        for field in own:
            if field.inline:
                fields.update(self[field.type].fields)
            else:
                fields[field.name] = field
        return SchemaType(
            name=name,
            fields=fields,
            wire={field.number: field for field in own},
            form=_FORMS.get(name, Form.OBJECT),
            gvk=tuple(raw["g"]) if "g" in raw else None,
            atomic=raw.get("a", False),
        )

    def _parse_field(self, name: str, entry: list[Any]) -> Field:
        number, notation, *rest = entry
        extras = rest[0] if rest else {}
        type_name = notation.lstrip("~[]{}*").rstrip("!")
        marks = notation[: notation.index(type_name)]
        return Field(
            name=name,
            number=number,
            type=type_name,
            shape=Shape.LIST if "[]" in marks else Shape.MAP if "{}" in marks else Shape.ONE,
            form=_FORMS.get(type_name, Form.OBJECT),
            required=notation.endswith("!"),
            pointer="*" in marks,
            inline="~" in marks,
            patch_strategies=frozenset(filter(None, extras.get("s", "").split(","))),
            patch_merge_key=extras.get("k", ""),
            list_type=extras.get("l", ""),
            list_map_keys=tuple(extras.get("m", ())),
            atomic=extras.get("a", False) or self._raw.get(type_name, {}).get("a", False),
        )


@cache
def schema() -> Schema:
    """The packaged table; read on first use (about 1 ms), then shared. `digest` changes with its contents."""
    packed = files("kubesvc.api").joinpath("schema.json").read_bytes()
    return Schema(msgspec.json.decode(packed), digest=hashlib.sha256(packed).hexdigest())
