"""Server-side apply (KEP-555): merge a configuration, and keep who manages which fields.

    apply      the manager owns exactly the fields of its configuration; what it owned before and no
               longer names is removed, unless another applier names it; changing what others own is a conflict
    update     any other write: the writer owns what it changed or added, the others lose it

Owners are the entries of `metadata.managedFields`, told apart by manager, operation and subresource.
An object without entries is not tracked until it is first applied to: then all it has is owned by
`before-first-apply`, as upstream does for objects older than the feature.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubesvc.api.fieldset import (
    Leaves,
    Path,
    describe,
    element_key,
    from_fields_v1,
    is_atomic,
    leaves,
    to_fields_v1,
    without,
)
from kubesvc.api.patch import json_equal
from kubesvc.api.status import BadRequest, Cause, Conflict
from kubesvc.api.strategic import arrange
from kubesvc.api.table import Field, Form, SchemaType, Shape, schema

APPLY, UPDATE = "Apply", "Update"
BEFORE_FIRST_APPLY = "before-first-apply"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """One entry of `managedFields`: who set which paths, and how."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""
    paths: frozenset[Path] = frozenset()
    time: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        return self.manager, self.operation, self.api_version, self.subresource

    def owns(self, paths: Iterable[Path], *, time: str) -> "Owner":
        """The same owner with these paths; the time moves only where they differ."""
        now = frozenset(paths)
        return self if now == self.paths else replace(self, paths=now, time=time)

    def as_entry(self) -> Document:
        entry = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields_v1(self.paths),
            "subresource": self.subresource,
        }
        return {key: value for key, value in entry.items() if value != ""}


def owners(document: Mapping[str, Any]) -> list[Owner]:
    """The owners a document's `managedFields` name; entries of another format are left out."""
    entries = document.get("metadata", {}).get("managedFields") or ()
    return [
        Owner(
            manager=entry.get("manager", ""),
            operation=entry.get("operation", ""),
            api_version=entry.get("apiVersion", ""),
            subresource=entry.get("subresource", ""),
            paths=from_fields_v1(entry.get("fieldsV1") or {}),
            time=entry.get("time", ""),
        )
        for entry in entries
        if entry.get("fieldsType", "FieldsV1") == "FieldsV1"
    ]


def apply_configuration(
    live: Document | None,
    config: Document,
    type_name: str,
    *,
    manager: str,
    now: str,
    force: bool = False,
    subresource: str = "",
) -> Document:
    """`live` (None: nothing there yet) with `config` applied, `managedFields` included.

    `config` fits `type_name`, is normalized and without what the endpoint would not store (a Service's
    status, say); `now` is RFC 3339. Raises BadRequest where the manager is
    not named or the configuration brings `managedFields` of its own, Conflict (causes name the fields)
    where others own what would change and `force` is not given. Where nothing changes, the result equals `live`.
    """
    if not manager:
        raise BadRequest("fieldManager: Required value: is required for apply patch")
    if config.get("metadata", {}).get("managedFields"):
        raise BadRequest("metadata.managedFields must be nil")
    old = live or {}
    others, mine = _split(_tracked(old, type_name), Owner(manager, APPLY, config.get("apiVersion", ""), subresource))
    wanted = leaves(config, type_name)
    mine_now = mine.owns(wanted, time=now)
    gone = _abandoned(mine.paths, {mine_now, *(owner for owner in others if owner.operation == APPLY)})
    merged = without(_merge_object(old, config, schema()[type_name]), gone, type_name)
    changed, removed = _changes(leaves(old, type_name), leaves(merged, type_name))
    if not force:
        _refuse_conflicts(others, changed)
    kept = [owner.owns(owner.paths - changed - removed, time=now) for owner in others]
    return _with_owners(merged, [*kept, mine_now])


def record_update(
    live: Document | None, new: Document, type_name: str, *, manager: str, now: str, subresource: str = ""
) -> Document:
    """`new`, about to replace `live`, with `managedFields` brought up to date; untracked objects stay so."""
    tracked = owners(live or {})
    if not tracked:
        return _with_owners(new, [])
    others, mine = _split(tracked, Owner(manager, UPDATE, new.get("apiVersion", ""), subresource))
    changed, removed = _changes(leaves(live or {}, type_name), leaves(new, type_name))
    kept = [owner.owns(owner.paths - changed - removed, time=now) for owner in others]
    return _with_owners(new, [*kept, mine.owns((mine.paths | changed) - removed, time=now)])


# Ownership


def _tracked(live: Document, type_name: str) -> list[Owner]:
    found = owners(live)
    if found or not live:
        return found
    everything = frozenset(leaves(live, type_name))
    since = live.get("metadata", {}).get("creationTimestamp") or ""
    return [Owner(BEFORE_FIRST_APPLY, UPDATE, live.get("apiVersion", ""), "", everything, since)]


def _split(tracked: list[Owner], writer: Owner) -> tuple[list[Owner], Owner]:
    """The other owners, and the writer as the entries know it."""
    mine = next((owner for owner in tracked if owner.identity == writer.identity), writer)
    return [owner for owner in tracked if owner.identity != writer.identity], mine


def _abandoned(before: frozenset[Path], appliers: Iterable[Owner]) -> frozenset[Path]:
    """What the applier owned and nobody applies now: neither the path itself nor anything below it."""
    applied = {path[:length] for owner in appliers for path in owner.paths for length in range(1, len(path) + 1)}
    return before - applied


def _changes(old: Leaves, new: Leaves) -> tuple[frozenset[Path], frozenset[Path]]:
    """The paths changed or added, and those removed."""
    changed = {path for path, value in new.items() if path not in old or not json_equal(old[path], value)}
    return frozenset(changed), frozenset(old.keys() - new.keys())


def _refuse_conflicts(others: Iterable[Owner], changed: frozenset[Path]) -> None:
    taken = {_name(owner): sorted(owner.paths & changed) for owner in others if owner.paths & changed}
    causes = tuple(
        Cause("FieldManagerConflict", describe(path), f"conflict with {name}")
        for name, paths in taken.items()
        for path in paths
    )
    if len(causes) == 1:
        raise Conflict(f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}", causes=causes)
    if causes:
        groups = ("\n- ".join([f"conflicts with {name}:", *map(describe, taken[name])]) for name in sorted(taken))
        raise Conflict(f"Apply failed with {len(causes)} conflicts: " + "\n".join(groups), causes=causes)


def _name(owner: Owner) -> str:
    name = f'"{owner.manager}"'
    if owner.subresource:
        name += f' with subresource "{owner.subresource}"'
    return f"{name} using {owner.api_version}" if owner.operation == UPDATE else name


def _with_owners(document: Document, tracked: Iterable[Owner]) -> Document:
    entries = [owner.as_entry() for owner in sorted(tracked, key=lambda o: (o.operation, o.time)) if owner.paths]
    metadata = {key: value for key, value in document.get("metadata", {}).items() if key != "managedFields"}
    if entries:
        metadata["managedFields"] = entries
    return {**document, "metadata": metadata}


# Merging


def _merge_object(live: Document, config: Document, kind: SchemaType) -> Document:
    merged = dict(live)
    for name, value in config.items():
        field = kind.fields.get(name)
        merged[name] = _merge_field(live[name], value, field) if name in live and field else value
    return merged


def _merge_field(live: Any, config: Any, field: Field) -> Any:
    if is_atomic(field):
        return config
    if field.shape is Shape.LIST:
        return _merge_list(live, config, field)
    if field.shape is Shape.MAP:
        return {**live, **{key: _merge_element(live.get(key), value, field) for key, value in config.items()}}
    return _merge_object(live, config, schema()[field.type])


def _merge_list(live: list[Any], config: list[Any], field: Field) -> list[Any]:
    def identity(item: Any) -> str:
        return element_key(item, field)

    merged = {identity(item): item for item in live}
    for item in config:
        merged[identity(item)] = _merge_element(merged.get(identity(item)), item, field)
    return arrange(list(merged.values()), config, live, identity)


def _merge_element(live: Any, config: Any, field: Field) -> Any:
    if live is None or field.form is not Form.OBJECT or schema()[field.type].atomic:
        return config
    return _merge_object(live, config, schema()[field.type])
