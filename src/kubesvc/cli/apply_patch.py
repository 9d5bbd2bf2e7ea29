"""P: the patch that takes an object from what was applied before to what is applied now.

A three-way strategic merge patch as `kubectl apply` makes it: what the manifest says is set, what the
last applied manifest said and this one no longer says is removed, what others have set stays.
"""

import json
from typing import Any

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

# Lists whose elements have an identity, by the field that holds the list.
_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "hostAliases": "ip",
    "ownerReferences": "uid",
}


def three_way_patch(current: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """An empty patch when `current` already holds all of `wanted` and nothing has to go."""
    annotations = (current.get("metadata") or {}).get("annotations") or {}
    try:
        original = json.loads(annotations.get(LAST_APPLIED, "{}"))
    except ValueError:
        original = {}
    return _patch_mapping(original if isinstance(original, dict) else {}, current, wanted)


def _patch_mapping(original: dict[str, Any], current: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {
        key: None for key in original if key not in wanted and key in current and key != "annotations"
    }
    for key, value in wanted.items():
        before, now = original.get(key), current.get(key)
        if isinstance(value, dict) and isinstance(now, dict):
            nested = _patch_mapping(before if isinstance(before, dict) else {}, now, value)
            if nested:
                patch[key] = nested
        elif isinstance(value, list) and isinstance(now, list):
            if (merged := _patch_list(key, before if isinstance(before, list) else [], now, value)) is not None:
                patch[key] = merged
        elif value != now:
            patch[key] = value
    return patch


def _patch_list(field: str, original: list[Any], current: list[Any], wanted: list[Any]) -> list[Any] | None:
    """None when nothing changes; lists without identities are replaced as a whole."""
    key = _merge_key(field, wanted or current)
    if key is None:
        return None if wanted == current else wanted
    now = {item.get(key): item for item in current}
    before = {item.get(key): item for item in original if isinstance(item, dict)}
    patch: list[Any] = [
        {"$patch": "delete", key: identity}
        for identity in before
        if identity in now and identity not in {item.get(key) for item in wanted}
    ]
    for item in wanted:
        identity = item.get(key)
        if identity not in now:
            patch.append(item)
        elif difference := _patch_mapping(before.get(identity, {}), now[identity], item):
            patch.append({**difference, key: identity})
    return patch or None


def _merge_key(field: str, items: list[Any]) -> str | None:
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    if field == "ports":
        return "containerPort" if "containerPort" in items[0] else "port"
    return _MERGE_KEYS.get(field)
