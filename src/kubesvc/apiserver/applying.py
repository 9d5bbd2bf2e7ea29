"""Server-side apply over HTTP, and who is credited with any other write (KEP-555; the rules are `api.apply`'s)."""

from collections.abc import Callable
from datetime import datetime

from kubesvc.api.apply import apply_configuration, record_update
from kubesvc.api.resources import Resource
from kubesvc.api.times import time_text
from kubesvc.apiserver.body import checked, decode, parse_field_validation, set_type
from kubesvc.apiserver.documents import Document, from_json, metadata_of, to_json
from kubesvc.apiserver.negotiation import media_type
from kubesvc.apiserver.request import Call, Target, flag

APPLY_PATCH = "application/apply-patch+yaml"
_LONGEST_MANAGER = 128
Change = Callable[[Document], Document]


def is_apply(call: Call) -> bool:
    return media_type(call.headers.get("Content-Type", "")) == APPLY_PATCH


def apply_change(
    call: Call, resource: Resource, target: Target, now: datetime
) -> Callable[[Document | None], Document]:
    """What applying the call's configuration makes of the live object, or of none.

    Raises BadRequest at once where the configuration is none, Conflict when others own what it changes.
    """
    config = _configuration(call, resource, target)

    def change(live: Document | None) -> Document:
        applied = apply_configuration(
            live, config, resource.schema_type, manager=call.query.get("fieldManager", ""), now=time_text(now),
            force=flag(call.query, "force"), subresource=target.subresource,
        )  # fmt: skip
        # What becomes of it (defaults, above all) must not reach the configuration, which a retry applies again.
        return from_json(to_json(applied))

    return change


def _configuration(call: Call, resource: Resource, target: Target) -> Document:
    """The configuration without the part that the endpoint does not store."""
    is_json = call.body.lstrip().startswith(b"{")
    document = decode(call.body, "application/json" if is_json else "application/yaml")
    set_type(document, resource)
    config, warnings = checked(document, resource, parse_field_validation(call.query.get("fieldValidation", "")))
    call.warnings[:] = warnings
    if "status" in resource.subresources:
        config.pop("spec" if target.subresource == "status" else "status", None)
    return config


def credited(change: Change, call: Call, resource: Resource, target: Target, now: datetime) -> Change:
    """The same change, with the fields it touches credited to the call's manager where the object is tracked at all."""

    def credited_change(old: Document) -> Document:
        new = change(old)
        metadata_of(new).pop("managedFields", None)
        if "managedFields" not in old["metadata"]:
            return new
        return record_update(
            old, new, resource.schema_type, manager=_manager(call), now=time_text(now), subresource=target.subresource
        )

    return credited_change


def _manager(call: Call) -> str:
    """The named field manager, else the program that calls."""
    named = call.query.get("fieldManager", "")
    return (named or call.headers.get("User-Agent", "").partition("/")[0])[:_LONGEST_MANAGER] or "unknown"
