"""What every object's metadata must be, and how errors read."""

from typing import Any

import pytest

from kubesvc.api import resources as r
from kubesvc.api.validation import (
    FieldError,
    forbidden,
    invalid,
    invalid_error,
    not_found,
    not_supported,
    required,
    too_long,
    too_many,
    validate_create,
    validate_update,
)

Document = dict[str, Any]


def errors(resource: r.Resource = r.CONFIGMAPS, **metadata: Any) -> list[str]:
    base: Document = {"name": "x"} | ({"namespace": "shop"} if resource.namespaced else {})
    return [str(error) for error in validate_create(resource, {"metadata": base | metadata})]


def changes(old: Document, **metadata: Any) -> list[str]:
    base = {"name": "x", "namespace": "shop", "uid": "u", "resourceVersion": "5"}
    found = validate_update(r.CONFIGMAPS, {"metadata": base | metadata}, {"metadata": base | old})
    return [str(error) for error in found]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (invalid("a", "x", "why"), 'a: Invalid value: "x": why'),
        (invalid("a", 'say "hi"\n', "why"), 'a: Invalid value: "say \\"hi\\"\\n": why'),
        (invalid("a", 5, "why"), "a: Invalid value: 5: why"),
        (invalid("a", None, "why"), "a: Invalid value: null: why"),
        (invalid("a", True, "why"), "a: Invalid value: true: why"),
        (invalid("a", ["x"], "why"), 'a: Invalid value: ["x"]: why'),
        (required("a"), "a: Required value"),
        (required("a", "why"), "a: Required value: why"),
        (forbidden("a", "why"), "a: Forbidden: why"),
        (not_found("a", "x"), 'a: Not found: "x"'),
        (not_supported("a", "x", {"C", "B"}), 'a: Unsupported value: "x": supported values: "B", "C"'),
        (not_supported("a", "x", ("C", "B")), 'a: Unsupported value: "x": supported values: "C", "B"'),
        (too_long("a", 10), "a: Too long: may not be more than 10 bytes"),
        (too_many("a", 5, 1), "a: Too many: 5: must have at most 1 item"),
    ],
)
def test_errors_read_as_upstreams(error: FieldError, text: str) -> None:
    assert str(error) == text


def test_a_refusal_names_kind_and_group_and_says_repeats_once() -> None:
    error = required("spec.selector")
    refusal = invalid_error(r.DEPLOYMENTS, "web", [error, error])
    assert refusal.message == 'Deployment.apps "web" is invalid: spec.selector: Required value'
    assert (refusal.kind, refusal.group, len(refusal.causes)) == ("Deployment", "apps", 2)


def test_a_name_is_required_and_follows_the_kind() -> None:
    assert errors(name="") == ["metadata.name: Required value: name or generateName is required"]
    assert errors(name="a.b") == []
    assert errors(r.NAMESPACES, name="a.b") == ['metadata.name: Invalid value: "a.b": must not contain dots']
    assert errors(r.EVENTS, name="a/b")[0] == "metadata.name: Invalid value: \"a/b\": may not contain '/'"


def test_a_base_for_generated_names_may_end_in_a_hyphen() -> None:
    assert errors(generateName="web-", name="web-abcde") == []
    assert errors(generateName="Web-", name="web-abcde")[0].startswith('metadata.generateName: Invalid value: "Web-"')


def test_namespaces_belong_to_namespaced_kinds_alone() -> None:
    assert errors(namespace="") == ["metadata.namespace: Required value"]
    assert errors(r.NODES, namespace="shop") == ["metadata.namespace: Forbidden: not allowed on this type"]


def test_labels_are_labels() -> None:
    [error] = errors(labels={"a b": "x"})
    assert error.startswith('metadata.labels: Invalid value: "a b": name part must consist of')
    [error] = errors(labels={"a": "x y"})
    assert error.startswith('metadata.labels: Invalid value: "x y": a valid label must be')


def test_annotations_hold_any_text_up_to_256_kib() -> None:
    assert errors(annotations={"A": "x y ä"}) == []
    assert errors(annotations={"a": "x" * 256 * 1024}) == [
        "metadata.annotations: Too long: may not be more than 262144 bytes"
    ]


def test_owners_are_complete_and_one_controls() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": True}
    assert errors(ownerReferences=[owner]) == []
    assert errors(ownerReferences=[owner | {"uid": ""}]) == [
        'metadata.ownerReferences.uid: Invalid value: "": must not be empty'
    ]
    [error] = errors(ownerReferences=[owner, owner | {"name": "other"}])
    assert error.endswith('Found "true" in references for ReplicaSet/web and ReplicaSet/other')


def test_finalizers_are_qualified_names() -> None:
    [error] = errors(finalizers=["a b"])
    assert error.startswith('metadata.finalizers: Invalid value: "a b"')
    [error] = errors(finalizers=["orphan", "foregroundDeletion"])
    assert error.endswith("finalizer orphan and foregroundDeletion cannot be both set")


@pytest.mark.parametrize("field", ["uid", "creationTimestamp", "deletionTimestamp"])
def test_identity_never_changes(field: str) -> None:
    assert changes({field: "old"}, **{field: "new"}) == [f'metadata.{field}: Invalid value: "new": field is immutable']


def test_an_update_says_which_revision_it_is_of() -> None:
    assert changes({}, resourceVersion="") == [
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    ]


def test_an_object_being_deleted_gets_no_new_finalizers() -> None:
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    old = gone | {"finalizers": ["a.b/c"]}
    assert changes(old, **gone, finalizers=[]) == []
    [error] = changes(old, **gone, finalizers=["a.b/c", "a.b/d"])
    assert error == (
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"a.b/d"}'
    )
