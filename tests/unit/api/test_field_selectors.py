"""Field selectors: which fields each resource offers, and how they compare."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.api import resources as r
from kubesvc.api.field_selectors import FieldSelector, FieldTerm
from kubesvc.api.selectors import parse_field_selector, supported_fields
from kubesvc.api.status import BadRequest

POD: dict[str, Any] = {
    "metadata": {"name": "web-1", "namespace": "shop"},
    "spec": {"nodeName": "node-1", "restartPolicy": "Always"},
    "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("metadata.name=web-1", True),
        ("metadata.name==web-1,metadata.namespace=shop", True),
        ("metadata.name!=web-1", False),
        ("spec.nodeName=node-1,status.phase!=Failed", True),
        ("status.podIPs=fd00::1", True),
        ("spec.hostNetwork=false", True),
        ("spec.schedulerName=", True),
        ("", True),
    ],
)
def test_pods_are_selected_by_their_fields(text: str, matches: bool) -> None:
    assert parse_field_selector(text).matches(r.PODS, POD) is matches


def test_an_unknown_field_is_a_bad_request_that_names_it() -> None:
    with pytest.raises(BadRequest, match=r"^field label not supported: spec\.image$"):
        parse_field_selector("spec.image=x").compiled(r.PODS)


def test_fields_differ_by_resource() -> None:
    assert "spec.clusterIP" in supported_fields(r.SERVICES)
    assert "spec.unschedulable" in supported_fields(r.NODES)
    assert supported_fields(r.CONFIGMAPS) == ("metadata.name", "metadata.namespace")
    node = {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}
    assert parse_field_selector("spec.unschedulable=true").matches(r.NODES, node)
    assert not parse_field_selector("spec.unschedulable=false").matches(r.NODES, node)


def test_events_are_selected_by_what_they_are_about() -> None:
    event = {"metadata": {"name": "e"}, "involvedObject": {"name": "web", "uid": "u"}, "reportingComponent": "proxy"}
    text = "involvedObject.name=web,involvedObject.uid=u,source=proxy"
    assert parse_field_selector(text).matches(r.EVENTS, event)


def test_the_one_name_a_selector_asks_for_is_known() -> None:
    assert parse_field_selector("metadata.name=x,spec.type!=y").exact("metadata.name") == "x"
    assert parse_field_selector("metadata.name!=x").exact("metadata.name") is None


@pytest.mark.parametrize("text", ["a", "a=b=c", "a=b\\x", "\\a=b"])
def test_unreadable_field_selectors_are_bad_requests(text: str) -> None:
    with pytest.raises(BadRequest, match="invalid selector"):
        parse_field_selector(text)


TERMS = st.builds(
    FieldTerm, st.sampled_from(["metadata.name", "spec.x"]), st.text(max_size=8, alphabet="ab,=\\!"), st.booleans()
)


@given(st.lists(TERMS, max_size=3))
def test_field_selectors_read_back_as_written(terms: list[FieldTerm]) -> None:
    selector = FieldSelector(tuple(terms))
    assert parse_field_selector(str(selector)) == selector
