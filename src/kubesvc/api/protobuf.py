"""Kubernetes' protobuf bodies to and from the JSON documents they stand for, by the numbers of the schema table.

A body is `k8s\\0` followed by a `runtime.Unknown` that names the kind and holds the object's message.
Go writes a plain scalar even when it is zero, where its JSON leaves it out; decoding leaves it out as
well, so that a client's Service arrives as the same document in both encodings. Scalars behind a
pointer keep their zeros (`replicas: 0`).

Malformed bodies raise BadRequest. Fields of a newer API, which the table does not know, are skipped.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from kubesvc.api.scalars import FROM_WIRE, TO_WIRE, WIRE_VARINTS
from kubesvc.api.status import BadRequest, UnsupportedMediaType
from kubesvc.api.table import Field, Form, SchemaType, Shape, schema
from kubesvc.api.wire import WireError, bytes_field, read_fields, read_packed, varint_field

__all__ = ["MAGIC", "MEDIA_TYPE", "decode_body", "decode_message", "encode_body", "encode_message"]

MAGIC = b"k8s\x00"
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

Document = dict[str, Any]


# Bodies


def decode_body(body: bytes, default_type: str = "") -> Document:
    """The document a body holds, with its `apiVersion` and `kind`.

    `default_type` names the schema type of bodies that do not say their own, as request options may.
    """
    try:
        return _decode_body(body, default_type)
    except (ValueError, RecursionError) as err:
        raise BadRequest(f"the body is not a Kubernetes protobuf object: {err}") from err


def _decode_body(body: bytes, default_type: str) -> Document:
    if not body.startswith(MAGIC):
        raise WireError("it does not start with the bytes 6b 38 73 00")
    envelope = decode_message(body[len(MAGIC) :], "runtime.Unknown", raw=True)
    if envelope.get("contentEncoding"):
        raise WireError(f"the content encoding {envelope['contentEncoding']!r} is not supported")
    head = {name: value for name, value in envelope.get("typeMeta", {}).items() if value}
    payload: bytes = envelope.get("raw", b"")
    if "json" in envelope.get("contentType", ""):
        return {**head, **msgspec.json.decode(payload, type=dict[str, Any])}
    kind = schema().find(head.get("apiVersion", ""), head.get("kind", ""))
    if kind is None and not default_type:
        raise UnsupportedMediaType(f"no kind {head.get('kind', '')!r} is known in {head.get('apiVersion', '')!r}")
    return {**head, **decode_message(payload, kind.name if kind else default_type)}


def encode_body(doc: Document) -> bytes:
    """The body of a document, found by its `apiVersion` and `kind`; KeyError where the table has no such kind."""
    kind = schema().find(doc["apiVersion"], doc["kind"])
    if kind is None:
        raise KeyError(f"{doc['apiVersion']} {doc['kind']}")
    head = encode_message({"apiVersion": doc["apiVersion"], "kind": doc["kind"]}, "runtime.TypeMeta")
    return MAGIC + bytes_field(1, head) + bytes_field(2, encode_message(doc, kind.name))


# Messages


def decode_message(data: bytes, type_name: str, *, raw: bool = False) -> Document:
    """The JSON document of one message; with `raw`, `bytes` fields stay bytes. Raises WireError."""
    kind = schema()[type_name]
    doc: Document = {}
    for number, value in read_fields(data):
        field = kind.wire.get(number)
        if field is None:
            continue
        if raw and field.form is Form.BYTES:
            doc[field.name] = value
        else:
            _read_field(doc, field, value)
    return doc


def _read_field(doc: Document, field: Field, value: int | bytes) -> None:
    if field.inline:
        doc.update(decode_message(_message(field, value), field.type))
    elif field.shape is Shape.LIST:
        doc.setdefault(field.name, []).extend(_read_items(field, value))
    elif field.shape is Shape.MAP:
        key, item = _read_entry(field, _message(field, value))
        doc.setdefault(field.name, {})[key] = item
    else:
        _store(doc, field, _read_value(field, value))


def _store(doc: Document, field: Field, value: Any) -> None:
    if value is None or (field.omits_zero and not value):
        doc.pop(field.name, None)
    elif field.form is Form.OBJECT and field.name in doc:
        doc[field.name].update(value)
    else:
        doc[field.name] = value


def _read_items(field: Field, value: int | bytes) -> list[Any]:
    if field.form in WIRE_VARINTS and isinstance(value, bytes):
        return [_read_value(field, item) for item in read_packed(value)]
    return [_read_value(field, value)]


def _read_entry(field: Field, data: bytes) -> tuple[str, Any]:
    """One entry of a map: key 1, value 2; what is not written is zero."""
    key, item = "", None
    for number, value in read_fields(data):
        if number == 1:
            key = FROM_WIRE[Form.STRING](value)
        elif number == 2:
            item = _read_value(field, value)
    if item is None:
        item = _read_value(field, 0 if field.form in WIRE_VARINTS else b"")
    return key, item


def _read_value(field: Field, value: int | bytes) -> Any:
    if field.form is Form.OBJECT:
        return decode_message(_message(field, value), field.type)
    if field.form is Form.ANY:
        return _read_raw(_message(field, value))
    try:
        return FROM_WIRE[field.form](value)
    except (TypeError, ValueError, OverflowError) as err:
        raise WireError(f"{field.name}: {err}") from err


def _message(field: Field, value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise WireError(f"{field.name} is a number on the wire, a message in the schema")
    return value


def _read_raw(data: bytes) -> Any:
    """`runtime.RawExtension`: JSON text, or a whole body of its own."""
    payload = next((value for number, value in read_fields(data) if number == 1), b"")
    if not isinstance(payload, bytes) or not payload:
        return None
    return _decode_body(payload, "") if payload.startswith(MAGIC) else msgspec.json.decode(payload)


def encode_message(doc: Document, type_name: str) -> bytes:
    """The message of a document that fits `type_name`; nulls and fields the type lacks are left out."""
    return _write_object(doc, schema()[type_name])


def _write_object(doc: Document, kind: SchemaType) -> bytes:
    out = bytearray()
    for number, field in kind.wire.items():
        if field.inline:
            out += bytes_field(number, _write_object(doc, schema()[field.type]))
        elif (value := doc.get(field.name)) is not None:
            out += _write_field(field, value)
    return bytes(out)


def _write_field(field: Field, value: Any) -> bytes:
    if field.shape is Shape.LIST:
        return b"".join(_write_value(field, field.number, item) for item in value)
    if field.shape is Shape.MAP:
        entries = (bytes_field(1, key.encode()) + _write_value(field, 2, item) for key, item in value.items())
        return b"".join(bytes_field(field.number, entry) for entry in entries)
    return _write_value(field, field.number, value)


def _write_value(field: Field, number: int, value: Any) -> bytes:
    if field.form is Form.OBJECT:
        return bytes_field(number, encode_message(value or {}, field.type))
    write: Callable[[Any], int | bytes] = TO_WIRE[field.form]
    payload = write(value)
    return varint_field(number, payload) if isinstance(payload, int) else bytes_field(number, payload)
