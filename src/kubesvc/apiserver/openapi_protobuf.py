"""The OpenAPI 2 document as the protobuf message that kubectl and helm read it as.

The message set is that of gnostic's `openapi.v2.Document`; only what our own documents hold is
written. Field numbers stand where they are used, named by the constants below. Values of extensions
and enumerations are YAML text there, and JSON is YAML.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from kubesvc.api.wire import bytes_field, varint_field

ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
"""The media type clients list in Accept."""

ANSWERED = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""The Content-Type of the answer: Go's clients do not parse a media type with `@` in it."""

_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}
_PATH_PARAMETERS, _PATH_PARAMETER, _QUERY_PARAMETER = 9, 4, 3
_BODY_PARAMETER, _NON_BODY_PARAMETER = 1, 2
_SCHEMA_TEXTS = {"$ref": 1, "format": 2, "description": 4}
_REQUIRED, _ENUM, _ADDITIONAL, _TYPE, _ITEMS, _PROPERTIES, _SCHEMA_EXTENSIONS = 19, 20, 21, 22, 23, 25, 31
_OPERATION_EXTENSIONS = 13

Json = Mapping[str, Any]


def encode_document(document: Json) -> bytes:
    """The message of an OpenAPI 2 document with `swagger`, `info`, `paths` and `definitions`."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = _named(2, document["paths"], _path_item)
    definitions = _named(1, document["definitions"], _schema)
    return _text(1, document["swagger"]) + bytes_field(2, info) + bytes_field(8, paths) + bytes_field(9, definitions)


def _text(number: int, value: str) -> bytes:
    return bytes_field(number, value.encode())


def _texts(number: int, values: Iterable[str]) -> bytes:
    return b"".join(_text(number, value) for value in values)


def _named(number: int, entries: Json, encode: Callable[[Any], bytes]) -> bytes:
    """A map: repeated pairs of a name and a message."""
    pairs = (_text(1, name) + bytes_field(2, encode(value)) for name, value in entries.items())
    return b"".join(bytes_field(number, pair) for pair in pairs)


def _any(value: Any) -> bytes:
    return bytes_field(2, msgspec.json.encode(value))


def _extensions(number: int, holder: Json) -> bytes:
    return _named(number, {key: value for key, value in holder.items() if key.startswith("x-")}, _any)


# Paths


def _path_item(item: Json) -> bytes:
    operations = (bytes_field(number, _operation(item[name])) for name, number in _METHODS.items() if name in item)
    return b"".join(operations) + _parameters(_PATH_PARAMETERS, item.get("parameters", ()))


def _operation(operation: Json) -> bytes:
    return (
        _text(5, operation["operationId"])
        + _texts(7, operation.get("consumes", ()))
        + _parameters(8, operation["parameters"])
        + bytes_field(9, _named(1, operation["responses"], _response))
        + _extensions(_OPERATION_EXTENSIONS, operation)
    )


def _response(response: Json) -> bytes:
    schema = bytes_field(1, _schema(response["schema"]))
    return bytes_field(1, _text(1, response["description"]) + bytes_field(2, schema))


def _parameters(number: int, parameters: Iterable[Json]) -> bytes:
    return b"".join(bytes_field(number, bytes_field(1, _parameter(parameter))) for parameter in parameters)


def _parameter(parameter: Json) -> bytes:
    name, place, description = parameter["name"], parameter["in"], parameter.get("description", "")
    required = int(parameter.get("required", False))
    if place == "body":
        body = _text(1, description) + _text(2, name) + _text(3, place) + varint_field(4, required)
        return bytes_field(_BODY_PARAMETER, body + bytes_field(5, _schema(parameter["schema"])))
    form_number, kind = (5, _PATH_PARAMETER) if place == "path" else (6, _QUERY_PARAMETER)
    plain = varint_field(1, required) + _text(2, place) + _text(3, description) + _text(4, name)
    return bytes_field(_NON_BODY_PARAMETER, bytes_field(kind, plain + _text(form_number, parameter["type"])))


# Schemas


def _schema(schema: Json) -> bytes:
    out = b"".join(_text(number, schema[key]) for key, number in _SCHEMA_TEXTS.items() if key in schema)
    out += _texts(_REQUIRED, schema.get("required", ()))
    out += b"".join(bytes_field(_ENUM, _any(value)) for value in schema.get("enum", ()))
    if "additionalProperties" in schema:
        out += bytes_field(_ADDITIONAL, bytes_field(1, _schema(schema["additionalProperties"])))
    if "type" in schema:
        out += bytes_field(_TYPE, _text(1, schema["type"]))
    if "items" in schema:
        out += bytes_field(_ITEMS, bytes_field(1, _schema(schema["items"])))
    if "properties" in schema:
        out += bytes_field(_PROPERTIES, _named(1, schema["properties"], _schema))
    return out + _extensions(_SCHEMA_EXTENSIONS, schema)
