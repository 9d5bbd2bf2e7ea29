"""Strategic merge patch: what `kubectl apply`, `edit`, `label` and `patch` send to built-in kinds.

Objects merge key by key and null removes a key, as in RFC 7386. Lists are replaced, except where the
schema table gives them the strategy `merge`: lists of objects then match by their merge key, lists of
scalars become a union. Directives steer this from within the patch:

    $patch: delete | replace | merge     in an object, or in an element of a merging list
    $retainKeys: [...]                   keep only these keys of the object (unions such as volumes)
    $deleteFromPrimitiveList/<field>     take these scalars out of a merging list
    $setElementOrder/<field>             order of a merging list; elements only the server has keep their place

Semantics: the API conventions' "strategic merge patch" page and the behaviour of its Go implementation.
Inputs are never changed. A malformed patch is a BadRequest.
"""

from collections.abc import Callable, Sequence
from typing import Any

from kubesvc.api.patch import json_equal
from kubesvc.api.status import BadRequest
from kubesvc.api.table import Field, Form, SchemaType, Shape, schema

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_SET_ORDER = "$setElementOrder/"

Document = dict[str, Any]


def apply_strategic_merge_patch(doc: Document, patch: Document, type_name: str) -> Document:
    """`doc`, an object of `type_name`, after `patch`. Raises BadRequest where the patch makes no sense."""
    if not isinstance(patch, dict):
        raise BadRequest("a strategic merge patch is a JSON object")
    return _merge_object(doc, patch, schema()[type_name])


def _merge_object(original: Document, patch: Document, kind: SchemaType | None) -> Document:
    directive = patch.get(_PATCH, "merge")
    if directive == "delete":
        return {}
    if directive == "replace":
        return _plain_object(patch)
    if directive != "merge":
        raise BadRequest(f"unknown patch type {directive!r} found in: {patch}")
    merged = _retained(original, patch)
    for key in _plain_keys(patch):
        _merge_key(merged, key, patch[key], _field(kind, key))
    for key, value in patch.items():
        if key.startswith(_DELETE_FROM):
            _delete_from(merged, key.removeprefix(_DELETE_FROM), value)
    for key, value in patch.items():
        if key.startswith(_SET_ORDER):
            _set_order(merged, original, key.removeprefix(_SET_ORDER), value, kind)
    return merged


def _plain_keys(patch: Document) -> list[str]:
    return [key for key in patch if key not in (_PATCH, _RETAIN) and not key.startswith((_DELETE_FROM, _SET_ORDER))]


def _field(kind: SchemaType | None, key: str) -> Field | None:
    return kind.fields.get(key) if kind else None


def _merge_key(merged: Document, key: str, value: Any, field: Field | None) -> None:
    current = merged.get(key)
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, dict) and not (field and "replace" in field.patch_strategies):
        below = current if isinstance(current, dict) else {}
        merged[key] = _merge_below(below, value, field)
    elif isinstance(value, list) and field and "merge" in field.patch_strategies:
        merged[key] = _merge_list(current if isinstance(current, list) else [], value, field)
    else:
        merged[key] = _plain(value)


def _merge_below(original: Document, patch: Document, field: Field | None) -> Document:
    """Merge what is under one key: an object of a known type, a map (whose values have one), or free-form JSON."""
    kind = schema()[field.type] if field and field.form is Form.OBJECT else None
    if field is None or field.shape is not Shape.MAP or kind is None:
        return _merge_object(original, patch, kind)
    merged = _retained(original, patch)
    if patch.get(_PATCH) in ("delete", "replace"):
        return _merge_object(original, patch, None)
    for key in _plain_keys(patch):
        if isinstance(patch[key], dict):
            merged[key] = _merge_object(merged.get(key) or {}, patch[key], kind)
        else:
            _merge_key(merged, key, patch[key], None)
    return merged


def _retained(original: Document, patch: Document) -> Document:
    if _RETAIN not in patch:
        return dict(original)
    retain = patch[_RETAIN]
    if not isinstance(retain, list):
        raise BadRequest(f"invalid patch format of {_RETAIN}: {retain!r} is not a list")
    if strangers := [key for key in _plain_keys(patch) if patch[key] is not None and key not in retain]:
        raise BadRequest(f"invalid patch format of {_RETAIN}: {strangers[0]} is set but not among the keys to retain")
    return {key: value for key, value in original.items() if key in retain}


# Lists


def _merge_list(original: list[Any], patch: list[Any], field: Field) -> list[Any]:
    if field.form is Form.OBJECT:
        merged = _merge_elements(original, patch, field)
        return arrange(merged, patch, original, _by_key(field.patch_merge_key))
    union: list[Any] = []
    for item in [*original, *patch]:
        if item not in union:
            union.append(item)
    return arrange(union, patch, original, _by_value)


def _merge_elements(original: list[Any], patch: list[Any], field: Field) -> list[Any]:
    key, kind = field.patch_merge_key, schema()[field.type]
    if any(_directive(item) == "replace" for item in patch):
        return [_plain_object(item) for item in patch if not _directive(item)]
    merged = list(original)
    for item in patch:
        wanted = _key_of(item, key, field)
        at = next((i for i, old in enumerate(merged) if key in old and json_equal(old[key], wanted)), None)
        if _directive(item) == "delete":
            merged = [old for old in merged if not (key in old and json_equal(old[key], wanted))]
        elif at is None:
            merged.append(_merge_object({}, item, kind))
        else:
            merged[at] = _merge_object(merged[at], item, kind)
    return merged


def _directive(item: Any) -> str:
    directive = item.get(_PATCH, "") if isinstance(item, dict) else ""
    if directive not in ("", "delete", "replace", "merge"):
        raise BadRequest(f"unknown patch type {directive!r} found in: {item}")
    return "" if directive == "merge" else directive


def _key_of(item: Any, key: str, field: Field) -> Any:
    if not isinstance(item, dict):
        raise BadRequest(f"{field.name}: expected objects in the patch's list, found {item!r}")
    if key not in item:
        raise BadRequest(f"{field.name}: map: {item} does not contain declared merge key: {key}")
    return item[key]


def _delete_from(merged: Document, key: str, values: Any) -> None:
    if not isinstance(values, list):
        raise BadRequest(f"invalid patch format of primitive list: {_DELETE_FROM}{key} is not a list")
    if isinstance(merged.get(key), list):
        merged[key] = [item for item in merged[key] if item not in values]


# Order

Identity = Callable[[Any], Any]


def _by_key(key: str) -> Identity:
    return lambda item: item.get(key) if isinstance(item, dict) else item


def _by_value(item: Any) -> Any:
    return item


def _set_order(merged: Document, original: Document, key: str, order: Any, kind: SchemaType | None) -> None:
    field = _field(kind, key)
    if not isinstance(order, list) or field is None or "merge" not in field.patch_strategies:
        raise BadRequest(f"invalid patch format of setElementOrder list: {key} is not a merging list")
    if isinstance(merged.get(key), list):
        identity = _by_key(field.patch_merge_key) if field.form is Form.OBJECT else _by_value
        merged[key] = arrange(merged[key], order, original.get(key) or [], identity)


def arrange(items: list[Any], order: Sequence[Any], live: Sequence[Any], identity: Identity) -> list[Any]:
    """`items` with those named in `order` in that order, and the others where they were in `live` among them.

    Two sorted runs are merged; where the live list does not know both heads, the named one goes first.
    """
    wanted, known = [identity(item) for item in order], [identity(item) for item in live]
    named = sorted((i for i in items if identity(i) in wanted), key=lambda i: wanted.index(identity(i)))
    others = [item for item in items if identity(item) not in wanted]
    out: list[Any] = []
    while named and others:
        left, right = identity(others[0]), identity(named[0])
        before = left in known and right in known and known.index(left) < known.index(right)
        out.append((others if before else named).pop(0))
    return out + others + named


# Values taken as they are


def _plain(value: Any) -> Any:
    """A patch value that meets nothing to merge with: without nulls and directives."""
    if isinstance(value, dict):
        return _plain_object(value)
    if isinstance(value, list):
        return [_plain(item) for item in value if _directive(item) != "delete"]
    return value


def _plain_object(value: Document) -> Document:
    return {key: _plain(value[key]) for key in _plain_keys(value) if value[key] is not None}
