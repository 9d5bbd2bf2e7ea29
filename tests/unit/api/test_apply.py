"""Server-side apply: what is merged, what is removed, who owns it, and what conflicts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.api.apply import apply_configuration, owners, record_update
from kubesvc.api.fieldset import describe, from_fields_v1, leaves, to_fields_v1, without
from kubesvc.api.schema import normalize
from kubesvc.api.status import BadRequest, Conflict

SERVICE = "core.v1.Service"
NOW, LATER = "2026-11-22T13:00:00Z", "2026-11-22T14:00:00Z"


def service(*ports: int, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    if labels:
        document["metadata"]["labels"] = labels
    if ports:
        spec["ports"] = [{"port": port, "protocol": "TCP"} for port in ports]
    return document | ({"spec": spec} if spec else {})


def applied(
    live: dict[str, Any] | None, config: dict[str, Any], manager: str = "me", *, force: bool = False, now: str = NOW
) -> dict[str, Any]:
    return apply_configuration(live, config, SERVICE, manager=manager, now=now, force=force)


def plain(document: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
    return document | {"metadata": metadata}


def owned(document: dict[str, Any], manager: str) -> set[str]:
    return {describe(path) for owner in owners(document) if owner.manager == manager for path in owner.paths}


# Merging and ownership


def test_applying_to_nothing_creates_the_configuration_and_owns_it() -> None:
    document = applied(None, service(80, type="NodePort", labels={"a": "1"}))
    assert plain(document) == service(80, type="NodePort", labels={"a": "1"})
    (entry,) = document["metadata"]["managedFields"]
    assert entry == {
        "manager": "me",
        "operation": "Apply",
        "apiVersion": "v1",
        "time": NOW,
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {
                "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:protocol": {}}},
                "f:type": {},
            },
        },
    }


def test_applying_the_same_again_changes_nothing() -> None:
    document = applied(None, service(80))
    assert applied(document, service(80), now=LATER) == document


def test_what_is_no_longer_applied_goes() -> None:
    first = applied(None, service(80, 443, type="NodePort", labels={"a": "1"}))
    assert plain(applied(first, service(443))) == service(443)


def test_what_the_server_or_others_added_stays() -> None:
    document = applied(None, service(80))
    document["spec"]["clusterIP"] = "10.96.0.7"
    document["spec"]["ports"][0]["nodePort"] = 30080
    again = applied(document, service(80, sessionAffinity="ClientIP"))
    assert again["spec"]["clusterIP"] == "10.96.0.7"
    assert again["spec"]["ports"][0]["nodePort"] == 30080


def test_an_element_that_is_no_longer_applied_goes_whole() -> None:
    document = applied(None, service(80, 443))
    document["spec"]["ports"][0]["nodePort"] = 30080
    assert [port["port"] for port in applied(document, service(443))["spec"]["ports"]] == [443]


def test_elements_without_a_protocol_are_those_with_tcp() -> None:
    config = service(type="NodePort", ports=[{"port": 80, "targetPort": 8080}])
    document = applied(applied(None, service(80)), config)
    assert len(document["spec"]["ports"]) == 1
    assert document["spec"]["ports"][0]["targetPort"] == 8080


def test_ports_that_differ_in_protocol_only_are_two() -> None:
    config = service(ports=[{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}])
    assert len(applied(None, config)["spec"]["ports"]) == 2


def test_two_appliers_share_what_they_agree_on() -> None:
    document = applied(applied(None, service(80), "one"), service(80, type="NodePort"), "two")
    document = applied(document, service(labels={"a": "1"}), "one")
    assert plain(document) == service(80, type="NodePort", labels={"a": "1"})


def test_finalizers_of_several_appliers_add_up() -> None:
    one, two = service(), service()
    one["metadata"]["finalizers"], two["metadata"]["finalizers"] = ["a/one"], ["b/two"]
    document = applied(applied(None, one, "one"), two, "two")
    assert sorted(document["metadata"]["finalizers"]) == ["a/one", "b/two"]
    assert applied(document, service(), "two")["metadata"]["finalizers"] == ["a/one"]


def test_atomic_lists_are_replaced_whole() -> None:
    document = applied(None, service(externalIPs=["192.0.2.1"]))
    assert applied(document, service(externalIPs=["192.0.2.2"]))["spec"]["externalIPs"] == ["192.0.2.2"]


# Conflicts


def test_changing_what_another_applied_is_a_conflict_that_names_the_field() -> None:
    document = applied(None, service(type="NodePort"), "one")
    with pytest.raises(Conflict) as refusal:
        applied(document, service(type="LoadBalancer"), "two")
    assert refusal.value.message == 'Apply failed with 1 conflict: conflict with "one": .spec.type'
    assert refusal.value.causes[0].as_dict() == {
        "reason": "FieldManagerConflict", "field": ".spec.type", "message": 'conflict with "one"',
    }  # fmt: skip


def test_several_conflicts_are_listed_by_manager() -> None:
    live = service(80, type="NodePort")
    live["spec"]["ports"][0]["targetPort"] = 1
    config = service(80, type="LoadBalancer")
    config["spec"]["ports"][0]["targetPort"] = 2
    with pytest.raises(Conflict) as refusal:
        applied(live, config)
    assert refusal.value.message == (
        'Apply failed with 2 conflicts: conflicts with "before-first-apply" using v1:\n'
        '- .spec.ports[port=80,protocol="TCP"].targetPort\n- .spec.type'
    )


def test_force_takes_the_field_over() -> None:
    document = applied(None, service(type="NodePort", labels={"a": "1"}), "one")
    document = applied(document, service(type="LoadBalancer"), "two", force=True)
    assert document["spec"]["type"] == "LoadBalancer"
    assert owned(document, "one") == {".metadata.labels.a"}
    assert owned(document, "two") == {".spec.type"}


def test_an_object_older_than_the_tracking_belongs_to_before_first_apply() -> None:
    live = service(80, type="NodePort")
    document = applied(live, service(80))
    assert ".spec.type" in owned(document, "before-first-apply")
    assert plain(document) == live


# Other writes


def test_an_update_takes_what_it_changes_from_the_others() -> None:
    document = applied(None, service(type="NodePort", sessionAffinity="None"), "one")
    new = plain(document) | {"spec": {"type": "ClusterIP", "externalName": "x"}}
    updated = record_update(document, new, SERVICE, manager="kubectl-edit", now=LATER)
    assert owned(updated, "one") == set()
    assert owned(updated, "kubectl-edit") == {".spec.type", ".spec.externalName"}


def test_an_update_that_changes_nothing_moves_no_time() -> None:
    document = applied(None, service(type="NodePort"))
    assert record_update(document, document, SERVICE, manager="other", now=LATER) == document


def test_objects_nobody_applied_are_not_tracked() -> None:
    new = service(80) | {"metadata": {"name": "web", "managedFields": [{"manager": "made-up"}]}}
    assert record_update(service(80), new, SERVICE, manager="x", now=NOW) == service(80)


def test_subresources_are_owners_of_their_own() -> None:
    document = applied(None, service(type="LoadBalancer"))
    new = document | {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    updated = record_update(document, new, SERVICE, manager="me", now=LATER, subresource="status")
    by_operation = {(owner.operation, owner.subresource) for owner in owners(updated)}
    assert by_operation == {("Apply", ""), ("Update", "status")}


# Refusals


def test_an_applier_has_a_name_and_brings_no_managed_fields() -> None:
    with pytest.raises(BadRequest, match="fieldManager"):
        applied(None, service(80), "")
    with pytest.raises(BadRequest, match="managedFields must be nil"):
        applied(None, applied(None, service(80)))


def test_an_element_without_its_key_is_refused() -> None:
    with pytest.raises(BadRequest, match="omits key field 'port'"):
        applied(None, service(ports=[{"name": "http"}]))


# Field sets

_ports = st.lists(st.integers(1, 5), unique=True, max_size=3)
_labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2"]), max_size=2)
_types = st.sampled_from([{}, {"type": "NodePort"}, {"type": "ClusterIP"}])
_services = st.builds(lambda ports, labels, spec: service(*ports, labels=labels, **spec), _ports, _labels, _types)


@given(_services)
def test_field_sets_survive_their_written_form(document: dict[str, Any]) -> None:
    paths = frozenset(leaves(document, SERVICE))
    assert from_fields_v1(to_fields_v1(paths)) == paths
    assert without(document, paths, SERVICE) == {key: document[key] for key in ("apiVersion", "kind", "metadata")} | {
        "metadata": {"name": "web"}
    }


@given(_services, _services)
def test_the_last_configuration_of_one_applier_is_what_there_is(first: dict[str, Any], second: dict[str, Any]) -> None:
    document = plain(applied(applied(None, first), second, now=LATER))
    assert _ordered(normalize(document, SERVICE)) == _ordered(normalize(second, SERVICE))


@given(_services, _services, _services)
def test_forced_appliers_get_what_they_want(live: dict[str, Any], one: dict[str, Any], two: dict[str, Any]) -> None:
    document = applied(applied(live, one, "one", force=True), two, "two", force=True)
    assert leaves(two, SERVICE).items() <= leaves(document, SERVICE).items()
    assert applied(document, two, "two") == document


def _ordered(document: dict[str, Any]) -> dict[str, Any]:
    ports = document.get("spec", {}).get("ports", [])
    return document | {"spec": document.get("spec", {}) | {"ports": sorted(port["port"] for port in ports)}}
