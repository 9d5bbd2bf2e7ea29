"""Label selectors: a conjunction, in string and object form."""

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.api.selectors import (
    EVERYTHING,
    LabelSelector,
    Operator,
    Requirement,
    equality_selector,
    label_selector_from,
    parse_label_selector,
)
from kubesvc.api.status import BadRequest
from kubesvc.api.views import LabelSelector as LabelSelectorView

PROD = {"zone": "prod", "version": "v1", "extra": "x"}


def test_every_term_must_hold_and_extra_labels_do_not_matter() -> None:
    selector = equality_selector({"zone": "prod", "version": "v1"})
    assert selector.matches(PROD)
    assert not selector.matches({"zone": "prod"})
    assert not selector.matches({"zone": "prod", "version": "v2"})


def test_a_service_without_selector_selects_no_pod_but_an_empty_query_selects_all() -> None:
    assert not equality_selector({}).matches(PROD)
    assert not equality_selector(None).matches({})
    assert parse_label_selector("").matches(None)
    assert parse_label_selector("  ") is EVERYTHING


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("zone=prod", True),
        ("zone==prod", True),
        ("zone!=prod", False),
        ("absent!=prod", True),
        ("zone in (test, prod)", True),
        ("zone in (test)", False),
        ("absent in (test)", False),
        ("zone notin (test)", True),
        ("absent notin (test)", True),
        ("extra", True),
        ("absent", False),
        ("!absent", True),
        ("!extra", False),
        ("zone=prod,version=v1,!absent", True),
        ("zone=prod,version=v2", False),
        ("absent=", False),
    ],
)
def test_the_operators_mean_what_the_api_says(text: str, matches: bool) -> None:
    assert parse_label_selector(text).matches(PROD) is matches


def test_greater_and_less_compare_whole_numbers() -> None:
    selector = parse_label_selector("cores>3,cores<5")
    assert selector.matches({"cores": "4"})
    assert not selector.matches({"cores": "5"})
    assert not selector.matches({"cores": "many"})
    assert not selector.matches({})


def test_words_that_look_like_operators_may_be_keys() -> None:
    assert parse_label_selector("in in (in)").matches({"in": "in"})
    assert parse_label_selector("notin").matches({"notin": ""})


@pytest.mark.parametrize(
    "text", ["a b", "a,", ",a", "=b", "a=b=c", "a in (b", "a in b", "!a=b", "a=-x", "-a=b", "a>x", "a/b/c=d"]
)
def test_what_cannot_be_read_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest, match="unable to parse requirement"):
        parse_label_selector(text)


def test_the_object_form_reads_the_same_from_a_document_and_from_a_view() -> None:
    document = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["front", "back"]},
            {"key": "old", "operator": "DoesNotExist"},
        ],
    }
    selector = label_selector_from(document)
    assert selector == label_selector_from(msgspec.convert(document, LabelSelectorView))
    assert str(selector) == "app=web,!old,tier in (back,front)"
    assert selector.matches({"app": "web", "tier": "back"})
    assert not selector.matches({"app": "web", "tier": "back", "old": ""})


def test_an_absent_object_form_selects_nothing_and_an_empty_one_everything() -> None:
    assert not label_selector_from(None).matches({"a": "b"})
    assert label_selector_from({}).matches({"a": "b"})


def test_an_operator_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match='"Like" is not a valid label selector operator'):
        label_selector_from({"matchExpressions": [{"key": "a", "operator": "Like"}]})


KEYS = st.sampled_from(["a", "b", "zone", "x.io/y", "in", "notin"])
VALUES = st.sampled_from(["", "1", "prod", "v1.2", "in"])


def requirements() -> st.SearchStrategy[Requirement]:
    single = st.builds(
        lambda key, op, value: Requirement(key, op, (value,)),
        KEYS,
        st.sampled_from([Operator.EQUALS, Operator.NOT_EQUALS]),
        VALUES,
    )
    several = st.builds(
        lambda key, op, values: Requirement(key, op, tuple(sorted(values))),
        KEYS,
        st.sampled_from([Operator.IN, Operator.NOT_IN]),
        st.sets(VALUES, min_size=1),
    )
    bare = st.builds(Requirement, KEYS, st.sampled_from([Operator.EXISTS, Operator.DOES_NOT_EXIST]))
    return st.one_of(single, several, bare)


def selectors() -> st.SearchStrategy[LabelSelector]:
    everything = st.just(EVERYTHING)
    return st.lists(requirements(), max_size=4).flatmap(
        lambda terms: everything.map(lambda start: start & LabelSelector(tuple(terms)))
    )


LABELS = st.dictionaries(KEYS, VALUES, max_size=5)


@given(selectors())
def test_the_string_form_reads_back_as_the_same_selector(selector: LabelSelector) -> None:
    assert parse_label_selector(str(selector)) == selector


@given(selectors(), selectors(), LABELS)
def test_a_conjunction_matches_what_both_sides_match(
    left: LabelSelector, right: LabelSelector, labels: Mapping[str, str]
) -> None:
    assert (left & right).matches(labels) is (left.matches(labels) and right.matches(labels))


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), LABELS)
def test_an_equality_map_matches_exactly_its_supersets(pairs: dict[str, str], labels: dict[str, str]) -> None:
    assert equality_selector(pairs).matches(labels) is (pairs.items() <= labels.items())


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_label_selector(text)
    except BadRequest:
        return
