"""Request bodies: JSON, YAML or protobuf in, a typed document out, with what field validation has to say."""

from enum import StrEnum
from typing import Any

import msgspec

from kubesvc.api.protobuf import decode_body
from kubesvc.api.resources import Resource
from kubesvc.api.schema import duplicate_fields, normalize, require_types, unknown_fields
from kubesvc.api.status import BadRequest, UnsupportedMediaType
from kubesvc.apiserver import refusals
from kubesvc.apiserver.documents import Document, from_json
from kubesvc.apiserver.negotiation import media_type
from kubesvc.apiserver.request import Call

PROTOBUF = "application/vnd.kubernetes.protobuf"
_JSON = frozenset({"", "application/json"})
_YAML = frozenset({"application/yaml", "text/yaml", "application/x-yaml"})


class FieldValidation(StrEnum):
    """What happens to unknown and duplicate fields (KEP-2885)."""

    IGNORE = "Ignore"
    WARN = "Warn"
    STRICT = "Strict"


def parse_field_validation(value: str) -> FieldValidation:
    try:
        return FieldValidation(value or "Warn")
    except ValueError as err:
        raise BadRequest(
            f'fieldValidation: Unsupported value: "{value}": supported values: "Ignore", "Strict", "Warn"'
        ) from err


def decode(body: bytes, content_type: str, default_type: str = "") -> Document:
    """The document a body holds, whatever its encoding. Raises BadRequest, UnsupportedMediaType.

    `default_type` is the schema type of a protobuf body that does not name its own.
    """
    kind = media_type(content_type)
    if kind == PROTOBUF:
        return decode_body(body, default_type)
    if kind in _JSON:
        return _as_object(_decode_json(body))
    if kind in _YAML:
        return _as_object(_decode_yaml(body))
    raise UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        f"application/json, application/yaml, {PROTOBUF}"
    )


def posted(call: Call, type_name: str) -> Document:
    """The document of a POST to what knows no other verb. Raises MethodNotAllowed, and as `decode` does."""
    if call.method != "POST":
        raise refusals.method_not_allowed()
    return decode(call.body, call.headers.get("Content-Type", ""), type_name)


def decode_object(
    body: bytes, content_type: str, resource: Resource, validation: FieldValidation
) -> tuple[Document, list[str]]:
    """The object in a body, checked against the schema of `resource`, and warnings for the client."""
    document = decode(body, content_type)
    set_type(document, resource)
    repeated = []
    if validation is not FieldValidation.IGNORE and media_type(content_type) in _JSON:
        repeated = duplicate_fields(body)
    return checked(document, resource, validation, repeated)


def checked(
    document: Document, resource: Resource, validation: FieldValidation, repeated: list[str] | None = None
) -> tuple[Document, list[str]]:
    """The document as objects are kept, and warnings. Raises BadRequest on wrong types or, if strict, fields."""
    require_types(document, resource.schema_type)
    complaints = []
    if validation is not FieldValidation.IGNORE:
        complaints = [f'unknown field "{path}"' for path in unknown_fields(document, resource.schema_type)]
        complaints += [f'duplicate field "{path}"' for path in repeated or ()]
    if complaints and validation is FieldValidation.STRICT:
        raise BadRequest(
            f'{resource.kind} in version "{resource.group_version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {', '.join(complaints)}"
        )
    return normalize(document, resource.schema_type), complaints


def set_type(document: Document, resource: Resource) -> None:
    """Default `kind` and `apiVersion`; BadRequest where they name something else than the URL does."""
    sent = document.setdefault("apiVersion", resource.group_version)
    if sent != resource.group_version:
        raise BadRequest(
            f"the API version in the data ({sent}) does not match the expected API version ({resource.group_version})"
        )
    kind = document.setdefault("kind", resource.kind)
    if kind != resource.kind:
        raise BadRequest(
            f'{kind} in version "{sent}" cannot be handled as a {resource.kind}: '
            f"the object provided is a {kind}, the URL names {resource.plural}"
        )


def _decode_json(body: bytes) -> Any:
    try:
        return from_json(body)
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError as err:
        raise BadRequest(f"couldn't get version/kind; json parse error: {err}") from err


def _decode_yaml(body: bytes) -> Any:
    import yaml

    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as err:
        raise BadRequest(f"error converting YAML to JSON: {err}") from err


def _as_object(document: Any) -> Document:
    if not isinstance(document, dict):
        raise BadRequest("the object provided is unrecognized: a JSON object with kind and apiVersion is expected")
    return document
