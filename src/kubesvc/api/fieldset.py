"""Which fields a document sets: paths, and the `FieldsV1` form that `metadata.managedFields` keeps them in.

A path is a tuple of the keys FieldsV1 uses, outermost first:

    f:ports                           a field, or a key of a map
    k:{"port":80,"protocol":"TCP"}    the element of a list of objects with these keys
    v:"finalizer"                     the element of a set of scalars

Sets of paths are plain sets, so ownership is set algebra. A path of a container is in the set where the
container itself counts: elements of lists, keys of maps, and whatever is empty or atomic.
(KEP-555; the format is that of structured-merge-diff.)
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kubesvc.api.status import BadRequest
from kubesvc.api.table import Field, Form, SchemaType, Shape, schema

Path = tuple[str, ...]
Leaves = dict[Path, Any]

PRESENT = object()
"""The value of a container that is in the set for its own sake."""

_KEY_DEFAULTS = {"protocol": "TCP"}
_UNTRACKED = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink",
            "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields",
        )
    }
)  # fmt: skip


def leaves(document: Mapping[str, Any], type_name: str) -> Leaves:
    """Every path the document sets with its value, without those that belong to the server or to nobody."""
    found: Leaves = {}
    _collect_object(document, schema()[type_name], (), found)
    return {path: value for path, value in found.items() if path[:2] not in _UNTRACKED}


def _collect_object(value: Mapping[str, Any], kind: SchemaType, path: Path, found: Leaves) -> None:
    for name, item in value.items():
        here = (*path, f"f:{name}")
        field = kind.fields.get(name)
        if field is None or is_atomic(field):
            found[here] = item
        elif item in ({}, []):
            found[here] = PRESENT
        elif field.shape is Shape.LIST:
            _collect_list(item, field, here, found)
        elif field.shape is Shape.MAP:
            for key, entry in item.items():
                _collect_element(entry, field, (*here, f"f:{key}"), found)
        else:
            _collect_object(item, schema()[field.type], here, found)


def _collect_list(items: Iterable[Any], field: Field, path: Path, found: Leaves) -> None:
    for item in items:
        _collect_element(item, field, (*path, element_key(item, field)), found)


def _collect_element(item: Any, field: Field, path: Path, found: Leaves) -> None:
    if field.form is Form.OBJECT and not schema()[field.type].atomic:
        found[path] = PRESENT
        _collect_object(item, schema()[field.type], path, found)
    else:
        found[path] = item


def is_atomic(field: Field) -> bool:
    """Whether a field is owned and merged as one value."""
    if field.shape is Shape.LIST:
        return field.list_type not in ("map", "set")
    if field.shape is Shape.MAP:
        return field.atomic
    return field.form is not Form.OBJECT or field.atomic


def element_key(item: Any, field: Field) -> str:
    """The path element of a list's element. Raises BadRequest where an object lacks one of its keys."""
    if field.list_type == "set":
        return f"v:{_compact(item)}"
    keys = {key: item.get(key, _KEY_DEFAULTS.get(key)) for key in field.list_map_keys}
    if missing := [key for key, value in keys.items() if value is None]:
        raise BadRequest(f".{field.name}: element {_compact(item)} omits key field {missing[0]!r}")
    return f"k:{_compact(keys)}"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


# FieldsV1


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """The nested form; a path that others go through is marked by `.` there."""
    root: dict[str, Any] = {}
    # Longer paths first, so that a shorter one finds out whether it is a prefix.
    for path in sorted(paths, key=lambda path: (-len(path), path)):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        if node:
            node["."] = {}
    return _sorted(root)


def _sorted(node: dict[str, Any]) -> dict[str, Any]:
    return {key: _sorted(node[key]) for key in sorted(node)}


def from_fields_v1(fields: Mapping[str, Any]) -> frozenset[Path]:
    """The paths of the nested form."""
    found: set[Path] = set()
    _walk_fields(fields, (), found)
    return frozenset(found)


def _walk_fields(node: Mapping[str, Any], path: Path, found: set[Path]) -> None:
    if path and (not node or "." in node):
        found.add(path)
    for key, below in node.items():
        if key != ".":
            _walk_fields(below or {}, (*path, key), found)


def describe(path: Path) -> str:
    """A path for a person: `.spec.ports[port=80,protocol="TCP"].targetPort`."""
    return "".join(_describe_element(element[:2], element[2:]) for element in path)


def _describe_element(mark: str, text: str) -> str:
    if mark == "f:":
        return f".{text}"
    if mark == "v:":
        return f"[={text}]"
    keys = ",".join(f"{key}={_compact(value)}" for key, value in json.loads(text).items())
    return f"[{keys}]"


# Taking paths out


def without(document: dict[str, Any], paths: frozenset[Path], type_name: str) -> dict[str, Any]:
    """A copy of the document without what `paths` name; containers that this empties go as well."""
    return _prune_object(document, paths, schema()[type_name], ()) if paths else document


def _prune_object(value: dict[str, Any], paths: frozenset[Path], kind: SchemaType, path: Path) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, item in value.items():
        here = (*path, f"f:{name}")
        if here in paths:
            continue
        field = kind.fields.get(name)
        pruned = item if field is None or is_atomic(field) or not item else _prune_field(item, paths, field, here)
        if pruned or pruned == item:
            kept[name] = pruned
    return kept


def _prune_field(value: Any, paths: frozenset[Path], field: Field, path: Path) -> Any:
    if field.shape is Shape.LIST:
        places = [(item, (*path, element_key(item, field))) for item in value]
        return [_prune_element(item, paths, field, here) for item, here in places if here not in paths]
    if field.shape is Shape.MAP:
        keys = [(key, (*path, f"f:{key}")) for key in value]
        return {key: _prune_element(value[key], paths, field, here) for key, here in keys if here not in paths}
    return _prune_object(value, paths, schema()[field.type], path)


def _prune_element(item: Any, paths: frozenset[Path], field: Field, path: Path) -> Any:
    if field.form is Form.OBJECT and not schema()[field.type].atomic:
        return _prune_object(item, paths, schema()[field.type], path)
    return item
