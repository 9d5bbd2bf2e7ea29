"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386) over decoded documents.

Inputs are never changed; results share what the patch left alone. A patch that is not of its form
is a BadRequest; one that is, but does not fit the document, is Invalid (422), as upstream answers.
"""

from collections.abc import Callable, Sequence
from typing import Any

from kubesvc.api.status import BadRequest, Invalid, TooLarge

MAX_OPERATIONS = 10_000


def apply_merge_patch(doc: Any, patch: Any) -> Any:
    """RFC 7386: objects merge key by key, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(doc) if isinstance(doc, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = apply_merge_patch(merged.get(key), value)
    return merged


def apply_json_patch(doc: Any, operations: Sequence[Any]) -> Any:
    """RFC 6902: the document after all `operations`, in order; nothing happened where one of them is refused."""
    if not isinstance(operations, list):
        raise BadRequest("error decoding patch: a JSON patch is a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise TooLarge(f"the JSON patch has {len(operations)} operations; at most {MAX_OPERATIONS} are allowed")
    for index, operation in enumerate(operations):
        doc = _apply(doc, _Operation(operation, index))
    return doc


def json_equal(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0, but never true; objects regardless of order."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(json_equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(json_equal, left, right))
    return bool(left == right)


class _Operation:
    """One operation, its members checked for form as they are read."""

    def __init__(self, raw: Any, index: int) -> None:
        if not isinstance(raw, dict):
            raise BadRequest(f"error decoding patch: operation {index} is not an object")
        self.raw = raw
        self.index = index
        self.op = raw.get("op")

    def pointer(self, member: str) -> list[str]:
        text = self.raw.get(member)
        if not isinstance(text, str) or (text and not text.startswith("/")):
            raise BadRequest(f"error decoding patch: operation {self.index} ({self.op}) has no valid {member!r}")
        return [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]

    @property
    def value(self) -> Any:
        if "value" not in self.raw:
            raise BadRequest(f"error decoding patch: operation {self.index} ({self.op}) has no 'value'")
        return self.raw["value"]

    def refuse(self, why: str) -> Invalid:
        return Invalid(f"{self.op} operation does not apply: {self.raw.get('path')}: {why}")


def _apply(doc: Any, operation: _Operation) -> Any:
    path = operation.pointer("path")
    match operation.op:
        case "add":
            return _add(doc, path, operation.value, operation)
        case "remove":
            return _remove(doc, path, operation)
        case "replace":
            return _replace(doc, path, operation.value, operation)
        case "test":
            return _test(doc, path, operation)
        case "copy":
            return _add(doc, path, _find(doc, operation.pointer("from"), operation), operation)
        case "move":
            return _move(doc, path, operation)
    raise BadRequest(f"error decoding patch: operation {operation.index} has an unknown op {operation.op!r}")


def _move(doc: Any, path: list[str], operation: _Operation) -> Any:
    source = operation.pointer("from")
    if path == source:
        _find(doc, source, operation)
        return doc
    if path[: len(source)] == source:
        raise operation.refuse("a value cannot be moved into itself")
    return _add(_remove(doc, source, operation), path, _find(doc, source, operation), operation)


def _test(doc: Any, path: list[str], operation: _Operation) -> Any:
    # Upstream's library takes a missing member for null here, and clients rely on it.
    expected = operation.raw.get("value")
    try:
        found = _find(doc, path, operation)
    except Invalid:
        if expected is not None:
            raise
        return doc
    if not json_equal(found, expected):
        raise Invalid(f"testing value {operation.raw['path']} failed: test failed")
    return doc


def _find(doc: Any, path: list[str], operation: _Operation) -> Any:
    for token in path:
        doc = doc[_place(doc, token, operation)]
    return doc


def _add(doc: Any, path: list[str], value: Any, operation: _Operation) -> Any:
    def insert(parent: Any, token: str) -> None:
        if isinstance(parent, list):
            parent.insert(len(parent) if token == "-" else _index(token, len(parent), operation), value)
        else:
            parent[token] = value

    return _edit(doc, path, insert, operation) if path else value


def _replace(doc: Any, path: list[str], value: Any, operation: _Operation) -> Any:
    def exchange(parent: Any, token: str) -> None:
        parent[_place(parent, token, operation)] = value

    return _edit(doc, path, exchange, operation) if path else value


def _remove(doc: Any, path: list[str], operation: _Operation) -> Any:
    def delete(parent: Any, token: str) -> None:
        del parent[_place(parent, token, operation)]

    if not path:
        raise operation.refuse("the whole document cannot be removed")
    return _edit(doc, path, delete, operation)


def _edit(doc: Any, path: list[str], act: Callable[[Any, str], None], operation: _Operation) -> Any:
    """`doc` with `act` done to the parent of what `path` names, copying only the containers on the way."""
    if not isinstance(doc, dict | list):
        raise operation.refuse("its parent is neither an object nor a list")
    token, rest = path[0], path[1:]
    edited: Any = doc.copy()
    if rest:
        place = _place(doc, token, operation)
        edited[place] = _edit(doc[place], rest, act, operation)
    else:
        act(edited, token)
    return edited


def _place(container: Any, token: str, operation: _Operation) -> Any:
    """The key or index `token` means in `container`, which must hold it."""
    if isinstance(container, dict):
        if token not in container:
            raise operation.refuse(f"doc is missing key {token!r}: missing value")
        return token
    if isinstance(container, list):
        return _index(token, len(container) - 1, operation)
    raise operation.refuse(f"nothing is below {token!r}")


def _index(token: str, highest: int, operation: _Operation) -> int:
    if not (token.isascii() and token.isdigit()) or (len(token) > 1 and token.startswith("0")):
        raise operation.refuse(f"{token!r} is not an array index")
    if int(token) > highest:
        raise operation.refuse(f"index {token} is out of range: missing value")
    return int(token)
