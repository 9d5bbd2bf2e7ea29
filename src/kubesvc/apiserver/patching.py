"""PATCH: from content type and body to the change of a document."""

from collections.abc import Callable
from typing import Any

import msgspec

from kubesvc.api.patch import apply_json_patch, apply_merge_patch
from kubesvc.api.resources import Resource
from kubesvc.api.status import BadRequest, UnsupportedMediaType
from kubesvc.api.strategic import apply_strategic_merge_patch
from kubesvc.apiserver.body import FieldValidation, checked, set_type
from kubesvc.apiserver.documents import Document
from kubesvc.apiserver.negotiation import media_type
from kubesvc.apiserver.request import Call

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_ACCEPTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, "application/apply-patch+yaml")
Patcher = Callable[[Any, Any], Any]


def patch_change(call: Call, resource: Resource, validation: FieldValidation) -> Callable[[Document], Document]:
    """The change a patch makes; raises BadRequest and UnsupportedMediaType at once, Invalid when it does not fit.

    Warnings about unknown fields go to `call`.
    """
    apply = patcher(call.headers.get("Content-Type", ""), resource.schema_type)
    patch = decode_patch(call.body)

    def change(old: Document) -> Document:
        new = apply(old, patch)
        if not isinstance(new, dict):
            raise BadRequest("the patch does not leave an object")
        set_type(new, resource)
        document, warnings = checked(new, resource, validation)
        call.warnings[:] = warnings
        return document

    return change


def patcher(content_type: str, type_name: str) -> Patcher:
    """The function that applies patches of a content type to documents of a schema type."""
    kind = media_type(content_type)
    if kind == JSON_PATCH:
        return apply_json_patch
    if kind == MERGE_PATCH:
        return apply_merge_patch
    if kind == STRATEGIC_PATCH:
        return lambda document, patch: apply_strategic_merge_patch(document, patch, type_name)
    raise UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: " + ", ".join(_ACCEPTED)
    )


def decode_patch(body: bytes) -> Any:
    """The JSON of a patch; BadRequest where it is none."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as err:
        raise BadRequest(f"error decoding patch: {err}") from err
