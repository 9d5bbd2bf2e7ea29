"""JSON Patch and JSON Merge Patch: the examples of their RFCs, the refusals, and algebra."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.api.patch import MAX_OPERATIONS, apply_json_patch, apply_merge_patch, json_equal
from kubesvc.api.status import BadRequest, Invalid, TooLarge

_scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab/~", max_size=3)
_json = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~"), inner))
_objects = st.dictionaries(st.text("ab"), _json, max_size=4)


# RFC 6902


@pytest.mark.parametrize(
    ("doc", "operations", "expected"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"foo": "bar", "baz": "qux"}),
        ({"foo": ["a", "c"]}, [{"op": "add", "path": "/foo/1", "value": "b"}], {"foo": ["a", "b", "c"]}),
        ({"foo": ["a"]}, [{"op": "add", "path": "/foo/-", "value": ["b"]}], {"foo": ["a", ["b"]]}),
        ({"foo": ["a"]}, [{"op": "add", "path": "/foo/1", "value": "b"}], {"foo": ["a", "b"]}),
        ({"foo": "old"}, [{"op": "add", "path": "/foo", "value": None}], {"foo": None}),
        ({"foo": 1, "bar": 2}, [{"op": "remove", "path": "/bar"}], {"foo": 1}),
        ({"foo": ["a", "b", "c"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["a", "c"]}),
        ({"foo": 1}, [{"op": "replace", "path": "/foo", "value": {"x": 2}}], {"foo": {"x": 2}}),
        ({"foo": 1}, [{"op": "replace", "path": "", "value": {"bar": 2}}], {"bar": 2}),
        (
            {"foo": {"bar": 1, "waldo": 2}, "qux": {}},
            [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
            {"foo": {"bar": 1}, "qux": {"thud": 2}},
        ),
        ({"foo": ["a", "b", "c"]}, [{"op": "move", "from": "/foo/0", "path": "/foo/2"}], {"foo": ["b", "c", "a"]}),
        ({"foo": {"a": 1}}, [{"op": "move", "from": "/foo", "path": "/foo"}], {"foo": {"a": 1}}),
        ({"foo": {"a": 1}}, [{"op": "copy", "from": "/foo", "path": "/bar"}], {"foo": {"a": 1}, "bar": {"a": 1}}),
        ({"a/b": 1, "m~n": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/m~0n"}], {}),
        ({"~1": 1}, [{"op": "test", "path": "/~01", "value": 1}], {"~1": 1}),
        ({"": 1}, [{"op": "replace", "path": "/", "value": 2}], {"": 2}),
        ({"n": 1}, [{"op": "test", "path": "/n", "value": 1.0}], {"n": 1}),
        ({}, [{"op": "test", "path": "/absent", "value": None}], {}),
    ],
)
def test_operations_do_what_the_rfc_says(doc: Any, operations: list[Any], expected: Any) -> None:
    before = copy.deepcopy(doc)
    assert apply_json_patch(doc, operations) == expected
    assert doc == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/absent"},
        {"op": "remove", "path": ""},
        {"op": "replace", "path": "/absent", "value": 1},
        {"op": "add", "path": "/absent/child", "value": 1},
        {"op": "add", "path": "/list/3", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "add", "path": "/text/x", "value": 1},
        {"op": "remove", "path": "/list/-"},
        {"op": "test", "path": "/text", "value": "other"},
        {"op": "test", "path": "/one", "value": True},
        {"op": "test", "path": "/absent", "value": 1},
        {"op": "move", "from": "/map", "path": "/map/inside"},
        {"op": "copy", "from": "/absent", "path": "/x"},
    ],
)
def test_operations_that_do_not_fit_the_document_are_invalid(operation: dict[str, Any]) -> None:
    doc = {"list": [1, 2], "text": "t", "map": {}, "one": 1}
    with pytest.raises(Invalid):
        apply_json_patch(doc, [{"op": "add", "path": "/new", "value": 1}, operation])
    assert doc == {"list": [1, 2], "text": "t", "map": {}, "one": 1}


@pytest.mark.parametrize(
    "operations",
    [
        {"op": "add"},
        ["add"],
        [{}],
        [{"op": "spam", "path": "/a"}],
        [{"op": "add", "path": "/a"}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "value": 1}],
        [{"op": "move", "path": "/a"}],
    ],
)
def test_what_is_not_a_patch_is_a_bad_request(operations: Any) -> None:
    with pytest.raises(BadRequest):
        apply_json_patch({"a": 1}, operations)


def test_endless_patches_are_too_large() -> None:
    with pytest.raises(TooLarge):
        apply_json_patch({}, [{"op": "test", "path": "", "value": {}}] * (MAX_OPERATIONS + 1))


def test_the_refusal_names_operation_and_path() -> None:
    with pytest.raises(Invalid, match=r"remove operation does not apply: /spec/x: doc is missing key 'x'"):
        apply_json_patch({"spec": {}}, [{"op": "remove", "path": "/spec/x"}])


@given(_objects, st.text("ab"), _json)
def test_added_values_test_equal_and_can_be_removed_again(doc: dict[str, Any], key: str, value: Any) -> None:
    path = "/" + key
    added = apply_json_patch(doc, [{"op": "add", "path": path, "value": value}])
    assert json_equal(apply_json_patch(added, [{"op": "test", "path": path, "value": value}]), added)
    assert key not in apply_json_patch(added, [{"op": "remove", "path": path}])


# RFC 7386


@pytest.mark.parametrize(
    ("doc", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging_follows_the_table_of_the_rfc(doc: Any, patch: Any, expected: Any) -> None:
    before = copy.deepcopy(doc)
    assert apply_merge_patch(doc, patch) == expected
    assert doc == before


@given(_json, _json)
def test_merging_twice_changes_nothing_more(doc: Any, patch: Any) -> None:
    once = apply_merge_patch(doc, patch)
    assert apply_merge_patch(once, patch) == once


def test_equality_tells_numbers_from_booleans() -> None:
    assert json_equal({"a": [1, None]}, {"a": [1.0, None]})
    assert not json_equal(1, True)
    assert not json_equal([0], [False])
    assert not json_equal({"a": 1}, {"a": 1, "b": 2})
