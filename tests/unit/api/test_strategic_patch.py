"""Strategic merge patch: lists that merge, directives, order, and what `kubectl apply` really sends."""

import copy
from typing import Any

import pytest
from hypothesis import given
from tests.unit.api.documents import documents

from kubesvc.api.schema import normalize
from kubesvc.api.status import BadRequest
from kubesvc.api.strategic import apply_strategic_merge_patch

SERVICE, POD, DEPLOYMENT = "core.v1.Service", "core.v1.Pod", "apps.v1.Deployment"


def patched(doc: dict[str, Any], patch: dict[str, Any], kind: str = POD) -> dict[str, Any]:
    before, patch_before = copy.deepcopy(doc), copy.deepcopy(patch)
    result = apply_strategic_merge_patch(doc, patch, kind)
    assert doc == before
    assert patch == patch_before
    return result


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **spec}}


def ports(*numbers: int) -> dict[str, Any]:
    return {"spec": {"ports": [{"port": number, "targetPort": number + 1000} for number in numbers]}}


# Objects


def test_objects_merge_and_null_removes() -> None:
    doc = {"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"type": "NodePort"}}
    patch = {"metadata": {"labels": {"a": None, "c": "3"}}}
    assert patched(doc, patch, SERVICE) == {
        "metadata": {"labels": {"b": "2", "c": "3"}},
        "spec": {"type": "NodePort"},
    }


def test_nulls_never_arrive_where_there_was_nothing() -> None:
    assert patched({}, {"spec": {"selector": {"a": None, "b": "1"}, "type": None}}, SERVICE) == {
        "spec": {"selector": {"b": "1"}}
    }


def test_an_object_is_replaced_by_directive() -> None:
    doc = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}}
    assert patched(doc, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_an_object_is_emptied_by_directive() -> None:
    assert patched({"spec": {"selector": {"a": "1"}}}, {"spec": {"selector": {"$patch": "delete"}}}, SERVICE) == {
        "spec": {"selector": {}}
    }


def test_retained_keys_clear_the_others() -> None:
    doc = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert patched(doc, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_a_volume_changes_its_source_by_retained_keys() -> None:
    doc = pod(volumes=[{"name": "v", "emptyDir": {}}])
    patch = {"spec": {"volumes": [{"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}}]}}
    assert patched(doc, patch)["spec"]["volumes"] == [{"name": "v", "configMap": {"name": "c"}}]


# Lists that merge


def test_service_ports_merge_by_number() -> None:
    merged = patched(ports(80, 443), {"spec": {"ports": [{"port": 443, "nodePort": 30443}]}}, SERVICE)
    assert merged["spec"]["ports"] == [
        {"port": 80, "targetPort": 1080},
        {"port": 443, "targetPort": 1443, "nodePort": 30443},
    ]


def test_new_elements_come_before_what_only_the_server_has() -> None:
    merged = patched(ports(80), {"spec": {"ports": [{"port": 90}]}}, SERVICE)
    assert [port["port"] for port in merged["spec"]["ports"]] == [90, 80]


def test_elements_are_deleted_by_their_key() -> None:
    merged = patched(ports(80, 443), {"spec": {"ports": [{"$patch": "delete", "port": 80}]}}, SERVICE)
    assert [port["port"] for port in merged["spec"]["ports"]] == [443]


def test_deleting_what_is_not_there_is_nothing() -> None:
    patch = {"spec": {"ports": [{"$patch": "delete", "port": 81}]}}
    assert patched(ports(80), patch, SERVICE) == ports(80)
    assert patched({}, patch, SERVICE) == {"spec": {"ports": []}}


def test_a_list_is_replaced_by_directive() -> None:
    patch = {"spec": {"ports": [{"$patch": "replace"}, {"port": 90}]}}
    assert patched(ports(80, 443), patch, SERVICE) == {"spec": {"ports": [{"port": 90}]}}


def test_containers_merge_by_name_and_what_is_in_them_by_its_own_keys() -> None:
    doc = pod(
        {
            "name": "web",
            "image": "a",
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "volumeMounts": [{"mountPath": "/a", "name": "v"}],
            "args": ["x", "y"],
        },
        {"name": "side", "image": "s"},
    )
    patch = pod(
        {
            "name": "web",
            "image": "b",
            "env": [{"name": "B", "value": "3"}, {"name": "A", "$patch": "delete"}],
            "volumeMounts": [{"mountPath": "/b", "name": "v"}, {"mountPath": "/a", "readOnly": True}],
            "args": ["z"],
        }
    )
    web, side = patched(doc, patch)["spec"]["containers"]
    assert side == {"name": "side", "image": "s"}
    assert web["image"] == "b"
    assert web["env"] == [{"name": "B", "value": "3"}]
    assert {mount["mountPath"] for mount in web["volumeMounts"]} == {"/a", "/b"}
    assert {"mountPath": "/a", "name": "v", "readOnly": True} in web["volumeMounts"]
    assert web["args"] == ["z"]


def test_conditions_merge_by_type_and_owners_by_uid() -> None:
    doc = {
        "metadata": {"ownerReferences": [{"uid": "1", "name": "a"}]},
        "status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Initialized", "status": "True"}]},
    }
    patch = {
        "metadata": {"ownerReferences": [{"uid": "1", "controller": True}, {"uid": "2", "name": "b"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    merged = patched(doc, patch)
    assert merged["metadata"]["ownerReferences"][0] == {"uid": "1", "name": "a", "controller": True}
    assert merged["status"]["conditions"] == [
        {"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "True"},
    ]  # fmt: skip


def test_lists_without_a_strategy_are_replaced() -> None:
    doc = {"spec": {"externalIPs": ["192.0.2.1", "192.0.2.2"]}}
    assert patched(doc, {"spec": {"externalIPs": ["192.0.2.3"]}}, SERVICE)["spec"] == {"externalIPs": ["192.0.2.3"]}


def test_a_template_deep_inside_merges_by_its_own_schema() -> None:
    doc = {"spec": {"template": pod({"name": "web", "ports": [{"containerPort": 80, "name": "http"}]})}}
    patch = {"spec": {"template": pod({"name": "web", "ports": [{"containerPort": 80, "protocol": "TCP"}]})}}
    container = patched(doc, patch, DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]
    assert container["ports"] == [{"containerPort": 80, "name": "http", "protocol": "TCP"}]


# Lists of scalars


def test_finalizers_are_a_union() -> None:
    merged = patched({"metadata": {"finalizers": ["a", "b"]}}, {"metadata": {"finalizers": ["b", "c"]}})
    assert sorted(merged["metadata"]["finalizers"]) == ["a", "b", "c"]


def test_finalizers_are_taken_out_by_directive() -> None:
    doc = {"metadata": {"finalizers": ["a", "b", "c"]}}
    merged = patched(doc, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["b", "z"]}})
    assert merged == {"metadata": {"finalizers": ["a", "c"]}}


def test_replacing_one_finalizer_by_both_directives() -> None:
    doc = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {
        "metadata": {
            "$setElementOrder/finalizers": ["c", "a"],
            "$deleteFromPrimitiveList/finalizers": ["b"],
            "finalizers": ["c"],
        }
    }
    assert patched(doc, patch) == {"metadata": {"finalizers": ["c", "a"]}}


# Order


def test_elements_take_the_order_of_the_patch_and_others_keep_their_place() -> None:
    doc = {"spec": {"ports": [{"port": 1}, {"port": 2}, {"port": 3}, {"port": 4}]}}
    patch = {"spec": {"$setElementOrder/ports": [{"port": 4}, {"port": 2}]}}
    order = [port["port"] for port in patched(doc, patch, SERVICE)["spec"]["ports"]]
    assert order.index(4) < order.index(2)
    assert order.index(1) < order.index(3)
    assert order == [1, 3, 4, 2]


def test_what_kubectl_apply_sends_for_a_changed_and_a_removed_port() -> None:
    doc = {"spec": {"ports": [{"name": "http", "port": 3000, "targetPort": 5000}, {"name": "two", "port": 3001}]}}
    patch = {
        "spec": {
            "$setElementOrder/ports": [{"port": 3000}],
            "ports": [{"port": 3000, "targetPort": 5009}, {"$patch": "delete", "port": 3001}],
        }
    }
    assert patched(doc, patch, SERVICE)["spec"] == {"ports": [{"name": "http", "port": 3000, "targetPort": 5009}]}


def test_order_of_containers_with_a_new_one_in_front() -> None:
    doc = pod({"name": "a"}, {"name": "injected"})
    patch = {"spec": {"$setElementOrder/containers": [{"name": "new"}, {"name": "a"}], "containers": [{"name": "new"}]}}
    assert [c["name"] for c in patched(doc, patch)["spec"]["containers"]] == ["new", "a", "injected"]


# Refusals


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"spec": {"$patch": "merg"}}, "unknown patch type"),
        ({"spec": {"ports": [{"$patch": "remove", "port": 1}]}}, "unknown patch type"),
        ({"spec": {"ports": [{"targetPort": 1}]}}, "does not contain declared merge key: port"),
        ({"spec": {"ports": [80]}}, "expected objects"),
        ({"spec": {"$retainKeys": "type"}}, "retainKeys"),
        ({"spec": {"$retainKeys": ["type"], "clusterIP": "None"}}, "clusterIP"),
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}}, "primitive list"),
        ({"spec": {"$setElementOrder/externalIPs": ["a"]}}, "setElementOrder"),
        ({"spec": {"$setElementOrder/ports": {}}}, "setElementOrder"),
        ([], "JSON object"),
    ],
)
def test_patches_that_make_no_sense_are_bad_requests(patch: Any, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        apply_strategic_merge_patch({"spec": {"ports": [{"port": 80}]}}, patch, SERVICE)


# Algebra


@given(documents(SERVICE))
def test_a_document_merged_into_nothing_is_itself_without_repeated_elements(document: dict[str, Any]) -> None:
    document = normalize(document, SERVICE)
    document.get("spec", {}).pop("ports", None)
    document.pop("metadata", None)
    document.pop("status", None)
    assert apply_strategic_merge_patch({}, document, SERVICE) == document
    assert apply_strategic_merge_patch(document, document, SERVICE) == document
