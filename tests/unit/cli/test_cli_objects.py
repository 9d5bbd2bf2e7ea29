"""What the commands about objects decide: targets, patches, conditions, descriptions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.api.resources import DEPLOYMENTS, ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES
from kubesvc.cli.apply_patch import LAST_APPLIED, three_way_patch
from kubesvc.cli.conditions import Aim, count_ready, holds, look_up, parse_aim
from kubesvc.cli.describing import describe_object, title
from kubesvc.cli.exits import Refusal
from kubesvc.cli.flags import duration
from kubesvc.cli.label import parse_changes
from kubesvc.cli.manifests import parse_documents, resource_of
from kubesvc.cli.output import table
from kubesvc.cli.targets import Target, parse_targets


def test_targets_as_kubectl_takes_them() -> None:
    assert parse_targets(["svc/web", "deploy/api"]) == [Target(SERVICES, "web"), Target(DEPLOYMENTS, "api")]
    assert parse_targets(["po", "a", "b"]) == [Target(PODS, "a"), Target(PODS, "b")]
    assert parse_targets(["ep,endpointslices"]) == [Target(ENDPOINTS), Target(ENDPOINTSLICES)]
    assert {target.resource for target in parse_targets(["all"])} >= {PODS, SERVICES, DEPLOYMENTS}


@pytest.mark.parametrize("words", [["nonsense"], ["svc/web", "pods"], ["svc/"]])
def test_targets_that_make_no_sense_are_refused(words: list[str]) -> None:
    with pytest.raises(Refusal):
        parse_targets(words)


def test_a_target_is_called_as_kubectl_calls_it() -> None:
    assert str(Target(DEPLOYMENTS, "web")) == "deployment.apps/web"
    assert str(Target(SERVICES, "web")) == "service/web"


def applied(document: dict[str, Any], original: dict[str, Any] | None = None) -> dict[str, Any]:
    import json

    text = json.dumps(document if original is None else original)
    return {**document, "metadata": {**document.get("metadata", {}), "annotations": {LAST_APPLIED: text}}}


def test_nothing_changed_is_an_empty_patch() -> None:
    document = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    assert three_way_patch(applied(document), document) == {}


def test_what_others_set_stays_and_what_we_no_longer_say_goes() -> None:
    original = {"spec": {"replicas": 3, "paused": True}}
    current = applied({"spec": {"replicas": 5, "paused": True, "progressDeadlineSeconds": 600}}, original)
    assert three_way_patch(current, {"spec": {"replicas": 3}}) == {"spec": {"paused": None, "replicas": 3}}


def test_a_removed_port_is_deleted_by_its_key_and_defaults_of_the_others_stay() -> None:
    original = {"spec": {"ports": [{"port": 80}, {"port": 443}]}}
    now = {"spec": {"ports": [{"port": 80, "nodePort": 30080}, {"port": 443, "nodePort": 30443}]}}
    patch = three_way_patch(applied(now, original), {"spec": {"ports": [{"port": 80}]}})
    assert patch == {"spec": {"ports": [{"$patch": "delete", "port": 443}]}}


def test_lists_without_identity_are_replaced_as_a_whole() -> None:
    current = applied({"spec": {"externalIPs": ["192.0.2.1"]}})
    wanted = {"spec": {"externalIPs": ["192.0.2.2"]}}
    assert three_way_patch(current, wanted) == wanted


SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2)
MAPPINGS = st.recursive(
    st.dictionaries(st.sampled_from("abc"), SCALARS, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner | SCALARS, max_size=3),
    max_leaves=8,
)


@given(MAPPINGS, MAPPINGS)
def test_patching_with_the_difference_gives_what_was_wanted(before: dict[str, Any], wanted: dict[str, Any]) -> None:
    from kubesvc.cli.apply_patch import _patch_mapping

    patched = merge(before, _patch_mapping(before, before, without_nulls(wanted)))
    assert without_nulls(patched) == without_nulls(wanted)


def merge(document: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def without_nulls(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    return {key: without_nulls(value) for key, value in document.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "aim"),
    [
        ("condition=Ready", Aim("condition", "Ready", "True")),
        ("condition=Available=false", Aim("condition", "Available", "false")),
        ("delete", Aim("delete")),
        ("endpoints=3", Aim("endpoints", value="3")),
        ("jsonpath={.status.phase}=Running", Aim("jsonpath", ".status.phase", "Running")),
        ("jsonpath='{.status.podIP}'", Aim("jsonpath", ".status.podIP", "")),
    ],
)
def test_what_can_be_waited_for(text: str, aim: Aim) -> None:
    assert parse_aim(text) == aim


@pytest.mark.parametrize("text", ["", "condition", "endpoints=many", "ready", "delete=now"])
def test_what_cannot_be_waited_for(text: str) -> None:
    with pytest.raises(ValueError, match="want condition="):
        parse_aim(text)


def test_conditions_and_paths() -> None:
    pod = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "ips": [{"ip": "x"}]}}
    assert holds(parse_aim("condition=ready"), pod)
    assert not holds(parse_aim("condition=Ready=False"), pod)
    assert holds(parse_aim("jsonpath={.status.phase}=Running"), pod)
    assert not holds(parse_aim("jsonpath={.status.reason}"), pod)
    assert look_up(pod, ".status.ips[0].ip") == "x"
    assert look_up(pod, ".status.ips[7].ip") is None


def test_ready_endpoints_are_counted_once_per_address() -> None:
    ready, waiting = {"ready": True}, {"ready": False}
    slices: list[dict[str, Any]] = [
        {"endpoints": [{"addresses": ["a"], "conditions": ready}, {"addresses": ["b"], "conditions": waiting}]},
        {"endpoints": [{"addresses": ["a"], "conditions": ready}, {"addresses": ["c"]}]},
        {"endpoints": None},
    ]
    assert count_ready(slices) == 2


def test_label_changes() -> None:
    assert parse_changes(["pod", "web", "a=1", "b-", "c="]) == {"a": "1", "b": None, "c": ""}


def test_manifests_hold_several_documents_and_lists() -> None:
    text = "kind: List\nitems: [{kind: A}]\n---\n---\nkind: B\n"
    assert [document["kind"] for document in parse_documents(text, "x")] == ["A", "B"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"kind": "Service"}, "lacks apiVersion"),
        ({"apiVersion": "v1"}, "lacks kind"),
        ({"apiVersion": "v1", "kind": "Service"}, "lacks metadata.name"),
        ({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}}, "no matches for kind 'Job'"),
    ],
)
def test_objects_that_name_nothing_are_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        resource_of(document, "file.yaml")


def test_a_manifest_that_is_not_yaml_is_refused_by_name() -> None:
    with pytest.raises(Refusal, match=r"file\.yaml: not valid YAML"):
        list(parse_documents("{", "file.yaml"))


def test_describing_a_service_shows_its_ready_endpoints() -> None:
    service = {
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
        "spec": {"type": "NodePort", "clusterIP": "10.96.0.5", "ports": [{"port": 80, "nodePort": 30080}]},
    }
    ports = [{"name": "", "port": 8080}]
    slices = [{"ports": ports, "endpoints": [{"addresses": ["10.244.1.2"], "conditions": {"ready": True}}]}]
    text = "\n".join(describe_object(service, slices))
    assert "Endpoints:                10.244.1.2:8080" in text
    assert "NodePort:                 <unset>  30080/TCP" in text


@pytest.mark.parametrize(
    ("field", "shown"),
    [("clusterIP", "Cluster IP"), ("restartPolicy", "Restart Policy"), ("podCIDRs", "Pod CIDRs"), ("a.b/c", "a.b/c")],
)
def test_titles_of_fields(field: str, shown: str) -> None:
    assert title(field) == shown


@pytest.mark.parametrize(("text", "seconds"), [("30", 30), ("30s", 30), ("2m", 120), ("500ms", 0.5), ("1h", 3600)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


def test_tables_have_kubectls_columns() -> None:
    assert table([("NAME", "AGE"), ("a-long-name", "5s")]) == "NAME          AGE\na-long-name   5s"
