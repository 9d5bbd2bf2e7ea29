"""A wrong manifest is refused in Kubernetes' own words, and changes nothing."""

from typing import Any

import pytest

from kubesvc.testing.cluster import Cluster, CommandFailed


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], **spec},
    }


def refusal(cluster: Cluster, document: dict[str, Any], namespace: str) -> str:
    with pytest.raises(CommandFailed) as failed:
        cluster.apply(document, namespace=namespace)
    return failed.value.stderr


def test_an_invalid_field_is_named_with_its_path(kubesvc: Cluster, namespace: str) -> None:
    said = refusal(kubesvc, service(ports=[{"port": 70000}]), namespace)
    assert "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive" in said


def test_several_mistakes_are_all_told(kubesvc: Cluster, namespace: str) -> None:
    said = refusal(kubesvc, service(ports=[{"port": 0}], type="Wrong"), namespace)
    assert "spec.ports[0].port" in said
    assert "spec.type" in said


def test_a_cluster_address_outside_of_the_range_is_refused(kubesvc: Cluster, namespace: str) -> None:
    said = refusal(kubesvc, service(clusterIP="192.0.2.1"), namespace)
    assert "192.0.2.1" in said
    assert "range" in said


def test_a_taken_node_port_is_refused_with_the_next_step(kubesvc: Cluster, namespace: str) -> None:
    kubesvc.apply(service("first", type="NodePort", ports=[{"port": 80, "nodePort": 31999}]), namespace=namespace)
    said = refusal(kubesvc, service("second", type="NodePort", ports=[{"port": 80, "nodePort": 31999}]), namespace)
    assert "31999" in said
    assert "already allocated" in said


def test_an_unknown_namespace_is_not_found(kubesvc: Cluster) -> None:
    assert 'namespaces "nowhere" not found' in refusal(kubesvc, service(), "nowhere")


def test_an_unknown_field_is_refused(kubesvc: Cluster, namespace: str) -> None:
    assert "unknown field" in refusal(kubesvc, service(selectr={"app": "web"}), namespace)


def test_what_was_refused_changed_nothing(kubesvc: Cluster, namespace: str) -> None:
    kubesvc.apply(service(), namespace=namespace)
    before = kubesvc.get("svc", "web", namespace=namespace)
    refusal(kubesvc, service(ports=[{"port": -1}]), namespace)
    refusal(kubesvc, service(clusterIP="10.96.200.200"), namespace)
    assert kubesvc.get("svc", "web", namespace=namespace) == before
