"""ObjectMeta: what holds for every kind."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubesvc.api.names import NameCheck, check_label, check_qualified
from kubesvc.api.validation.errors import FieldError, each_invalid, forbidden, invalid, required
from kubesvc.api.validation.labels import validate_annotations, validate_labels

Metadata = Mapping[str, Any]

IMMUTABLE = "field is immutable"
_FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_ORPHAN, _FOREGROUND = "orphan", "foregroundDeletion"
_OWNER_FIELDS = (
    ("apiVersion", "version must not be empty"),
    ("kind", "must not be empty"),
    ("name", "must not be empty"),
    ("uid", "must not be empty"),
)


def validate_meta(
    metadata: Metadata, check_name: NameCheck, *, namespaced: bool, path: str = "metadata"
) -> list[FieldError]:
    """A new object's metadata, after its name was generated."""
    errors: list[FieldError] = []
    base, name = metadata.get("generateName") or "", metadata.get("name") or ""
    if base:
        errors += each_invalid(f"{path}.generateName", base, check_name(_as_prefix(base)))
    if not name:
        errors.append(required(f"{path}.name", "name or generateName is required"))
    else:
        errors += each_invalid(f"{path}.name", name, check_name(name))
    errors += _validate_namespace(metadata.get("namespace") or "", f"{path}.namespace", namespaced=namespaced)
    return errors + _validate_contents(metadata, path)


def _as_prefix(base: str) -> str:
    """A generated name's base may end in a hyphen: characters follow."""
    return base[:-1] + "a" if len(base) > 1 and base.endswith("-") else base


def _validate_namespace(namespace: str, path: str, *, namespaced: bool) -> list[FieldError]:
    if not namespaced:
        return [forbidden(path, "not allowed on this type")] if namespace else []
    return each_invalid(path, namespace, check_label(namespace)) if namespace else [required(path)]


def _validate_contents(metadata: Metadata, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    generation = metadata.get("generation") or 0
    if generation < 0:
        errors.append(invalid(f"{path}.generation", generation, "must be greater than or equal to 0"))
    errors += validate_labels(metadata.get("labels"), f"{path}.labels")
    errors += validate_annotations(metadata.get("annotations"), f"{path}.annotations")
    errors += _validate_owners(metadata.get("ownerReferences") or (), f"{path}.ownerReferences")
    return errors + _validate_finalizers(metadata.get("finalizers") or (), f"{path}.finalizers")


def _validate_owners(owners: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    controller = ""
    for owner in owners:
        for field, problem in _OWNER_FIELDS:
            if not owner.get(field):
                errors.append(invalid(f"{path}.{field}", owner.get(field) or "", problem))
        if (owner.get("apiVersion"), owner.get("kind")) == ("v1", "Event"):
            errors.append(invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if not owner.get("controller"):
            continue
        this = f"{owner.get('kind')}/{owner.get('name')}"
        if controller:
            problem = "Only one reference can have Controller set to true. "
            errors.append(invalid(path, owners, f'{problem}Found "true" in references for {controller} and {this}'))
        controller = controller or this
    return errors


def _validate_finalizers(finalizers: Sequence[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for finalizer in finalizers:
        errors += each_invalid(path, finalizer, check_qualified(finalizer))
    if _ORPHAN in finalizers and _FOREGROUND in finalizers:
        errors.append(invalid(path, finalizers, f"finalizer {_ORPHAN} and {_FOREGROUND} cannot be both set"))
    return errors


def validate_meta_update(new: Metadata, old: Metadata, path: str = "metadata") -> list[FieldError]:
    """Identity stays, the generation never falls, an object being deleted gets no new finalizers."""
    errors: list[FieldError] = []
    if old.get("deletionTimestamp"):
        errors += _validate_no_new_finalizers(new, old, f"{path}.finalizers")
    if not new.get("resourceVersion"):
        errors.append(invalid(f"{path}.resourceVersion", 0, "must be specified for an update"))
    if (new.get("generation") or 0) < (old.get("generation") or 0):
        errors.append(invalid(f"{path}.generation", new.get("generation") or 0, "must not be decremented"))
    for field in _FIXED:
        if (new.get(field) or None) != (old.get(field) or None):
            errors.append(invalid(f"{path}.{field}", new.get(field), IMMUTABLE))
    return errors + _validate_contents(new, path)


def _validate_no_new_finalizers(new: Metadata, old: Metadata, path: str) -> list[FieldError]:
    added = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
    if not added:
        return []
    listed = ", ".join(f'"{finalizer}"' for finalizer in added)
    problem = "no new finalizers can be added if the object is being deleted, found new finalizers"
    return [forbidden(path, f"{problem} []string{{{listed}}}")]


def unchanged(new: Any, old: Any, path: str) -> list[FieldError]:
    """An error unless the field is what it was; absent, null and empty are the same."""
    return [] if (new or None) == (old or None) else [invalid(path, new, IMMUTABLE)]
