"""What the API server does to objects before it validates them."""

from copy import deepcopy
from typing import Any

from kubesvc.api import resources as r
from kubesvc.api.qos import qos_class
from kubesvc.api.strategy import prepare_create, prepare_finalize, prepare_status_update, prepare_update

Document = dict[str, Any]


def created(resource: r.Resource, **fields: Any) -> Document:
    obj: Document = {"metadata": {"name": "x"}, **deepcopy(fields)}
    prepare_create(resource, obj)
    return obj


def test_clients_set_neither_status_nor_generation_nor_deletion() -> None:
    obj: Document = {
        "metadata": {"name": "x", "generation": 7, "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {},
        "status": {"replicas": 9},
    }
    prepare_create(r.DEPLOYMENTS, obj)
    assert obj == {"metadata": {"name": "x", "generation": 1}, "spec": {}, "status": {}}


def test_only_kinds_that_count_generations_get_one() -> None:
    assert created(r.PODS, spec={})["metadata"]["generation"] == 1
    assert created(r.ENDPOINTSLICES)["metadata"]["generation"] == 1
    assert "generation" not in created(r.SERVICES, spec={})["metadata"]
    assert "generation" not in created(r.CONFIGMAPS)["metadata"]


def test_a_node_brings_its_status_along() -> None:
    assert created(r.NODES, status={"phase": "x"})["status"] == {"phase": "x"}


def test_a_namespace_starts_active_and_with_its_finalizer() -> None:
    obj = created(r.NAMESPACES, spec={"finalizers": ["a.b/c"]})
    assert obj["spec"]["finalizers"] == ["a.b/c", "kubernetes"]
    assert obj["status"] == {"phase": "Active"}


def test_a_pod_starts_pending_with_its_class() -> None:
    assert created(r.PODS, spec={"containers": [{}]})["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_the_class_of_a_pod_follows_from_its_resources() -> None:
    full = {"cpu": "1", "memory": "1Gi"}
    fixed = {"resources": {"limits": full, "requests": full}}
    assert qos_class({"containers": [fixed]}) == "Guaranteed"
    assert qos_class({"containers": [fixed, {}]}) == "Burstable"
    assert qos_class({"containers": [{"resources": {"requests": {"cpu": "1"}}}]}) == "Burstable"
    assert qos_class({"containers": [{"resources": {"limits": {"cpu": "0"}}}]}) == "BestEffort"


DEPLOYMENT: Document = {
    "metadata": {"name": "x", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 3},
    "spec": {"replicas": 1},
    "status": {"replicas": 1},
}


def updated(old: Document, resource: r.Resource = r.DEPLOYMENTS, **fields: Any) -> Document:
    new = deepcopy(old) | deepcopy(fields)
    prepare_update(resource, new, old)
    return new


def test_a_changed_wish_counts_a_generation_and_keeps_the_status() -> None:
    new = updated(DEPLOYMENT, spec={"replicas": 2}, status={"replicas": 99})
    assert new["metadata"]["generation"] == 4
    assert new["status"] == {"replicas": 1}


def test_labels_alone_count_no_generation_and_clients_do_not_set_it() -> None:
    new = updated(DEPLOYMENT, metadata={"name": "x", "labels": {"a": "b"}, "generation": 50})
    assert new["metadata"]["generation"] == 3


def test_identity_and_times_come_from_the_stored_object() -> None:
    metadata = {"name": "x", "creationTimestamp": None, "deletionTimestamp": "2030-01-01T00:00:00Z"}
    new = updated(DEPLOYMENT, metadata=metadata)
    assert new["metadata"]["uid"] == "u"
    assert new["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert "deletionTimestamp" not in new["metadata"]


def test_a_uid_the_client_sends_is_left_for_validation() -> None:
    assert updated(DEPLOYMENT, metadata={"name": "x", "uid": "other"})["metadata"]["uid"] == "other"


def test_a_slice_counts_changed_endpoints_and_labels() -> None:
    old: Document = {"metadata": {"name": "x", "generation": 1}, "addressType": "IPv4", "endpoints": []}
    assert updated(old, r.ENDPOINTSLICES, endpoints=[{"addresses": ["10.0.0.1"]}])["metadata"]["generation"] == 2
    annotated = {"name": "x", "annotations": {"a": "b"}}
    assert updated(old, r.ENDPOINTSLICES, metadata=annotated)["metadata"]["generation"] == 1


def test_a_status_write_changes_nothing_but_the_status() -> None:
    new = deepcopy(DEPLOYMENT) | {"spec": {"replicas": 9}, "status": {"replicas": 2}}
    new["metadata"]["labels"] = {"a": "b"}
    prepare_status_update(r.DEPLOYMENTS, new, DEPLOYMENT)
    assert new == deepcopy(DEPLOYMENT) | {"status": {"replicas": 2}}


def test_a_pod_status_keeps_owner_and_class() -> None:
    old: Document = {
        "metadata": {"name": "p", "ownerReferences": [{"uid": "o"}]},
        "spec": {},
        "status": {"qosClass": "Burstable"},
    }
    new: Document = {"metadata": {"name": "p"}, "spec": {"x": 1}, "status": {"phase": "Running"}}
    prepare_status_update(r.PODS, new, old)
    assert new["metadata"]["ownerReferences"] == [{"uid": "o"}]
    assert new["status"] == {"phase": "Running", "qosClass": "Burstable"}


def test_namespace_finalizers_change_through_finalize_alone() -> None:
    old: Document = {"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    new = updated(old, r.NAMESPACES, spec={"finalizers": []})
    assert new["spec"]["finalizers"] == ["kubernetes"]
    final: Document = {"metadata": {"name": "n"}, "spec": {"finalizers": []}, "status": {"phase": "x"}}
    prepare_finalize(final, old)
    assert final["spec"] == {}
    assert final["status"] == {"phase": "Active"}
