"""Discovery: the same resources in both forms, named as kubectl looks for them."""

import json
from typing import Any

import pytest

from kubesvc.api.resources import RESOURCES, Resource
from kubesvc.apiserver.discovery import document

# What kubectl 1.32 sends to /api and /apis.
AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


def fetched(path: str, accept: str = "application/json") -> dict[str, Any]:
    found = document(path, accept)
    assert found is not None, path
    body, content_type = found
    assert content_type.startswith("application/json")
    decoded: dict[str, Any] = json.loads(body)
    return decoded


def entries(group_version: str) -> dict[str, dict[str, Any]]:
    prefix = "/apis" if "/" in group_version else "/api"
    return {entry["name"]: entry for entry in fetched(f"{prefix}/{group_version}")["resources"]}


def test_versions_and_groups() -> None:
    assert fetched("/api")["versions"] == ["v1"]
    groups = {group["name"]: group["preferredVersion"]["groupVersion"] for group in fetched("/apis")["groups"]}
    assert groups["apps"] == "apps/v1"
    assert groups["discovery.k8s.io"] == "discovery.k8s.io/v1"
    assert "" not in groups
    assert fetched("/apis/apps")["kind"] == "APIGroup"


def test_services_are_listed_with_their_names_and_verbs() -> None:
    services = entries("v1")["services"]
    assert services == {
        "name": "services",
        "singularName": "service",
        "namespaced": True,
        "kind": "Service",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["svc"],
        "categories": ["all"],
    }


def test_namespaces_cannot_be_deleted_together() -> None:
    assert "deletecollection" not in entries("v1")["namespaces"]["verbs"]


def test_reviews_can_only_be_posted() -> None:
    for group in ("authentication.k8s.io/v1", "authorization.k8s.io/v1"):
        assert [entry["verbs"] for entry in entries(group).values()] == [["create"]] * len(entries(group))
    assert entries("authentication.k8s.io/v1")["tokenreviews"]["kind"] == "TokenReview"


@pytest.mark.parametrize(
    ("group_version", "name", "kind", "group", "verbs"),
    [
        ("v1", "services/status", "Service", None, ["get", "patch", "update"]),
        ("v1", "pods/log", "Pod", None, ["get"]),
        ("v1", "pods/exec", "PodExecOptions", None, ["create", "get"]),
        ("v1", "pods/eviction", "Eviction", "policy", ["create"]),
        ("v1", "pods/binding", "Binding", None, ["create"]),
        ("v1", "namespaces/finalize", "Namespace", None, ["update"]),
        ("v1", "serviceaccounts/token", "TokenRequest", "authentication.k8s.io", ["create"]),
        ("apps/v1", "deployments/scale", "Scale", "autoscaling", ["get", "patch", "update"]),
    ],
)
def test_subresources_speak_their_own_kinds(
    group_version: str, name: str, kind: str, group: str | None, verbs: list[str]
) -> None:
    entry = entries(group_version)[name]
    assert (entry["kind"], entry.get("group"), entry["verbs"]) == (kind, group, verbs)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.group_resource)
def test_both_forms_hold_every_resource_with_its_subresources(resource: Resource) -> None:
    plain = entries(resource.group_version)
    aggregated = fetched("/apis" if resource.group else "/api", AGGREGATED)
    (group,) = [item for item in aggregated["items"] if item["metadata"].get("name", "") == resource.group]
    (version,) = [item for item in group["versions"] if item["version"] == resource.version]
    (found,) = [item for item in version["resources"] if item["resource"] == resource.plural]
    assert found["responseKind"] == {"group": resource.group, "version": resource.version, "kind": resource.kind}
    assert found["scope"] == ("Namespaced" if resource.namespaced else "Cluster")
    assert found["verbs"] == plain[resource.plural]["verbs"]
    names = [f"{resource.plural}/{item['subresource']}" for item in found.get("subresources", ())]
    assert names == sorted(f"{resource.plural}/{name}" for name in resource.subresources)
    assert set(names) <= plain.keys()


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (AGGREGATED, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
        (
            "application/json; g=apidiscovery.k8s.io; v=v2beta1; as=APIGroupDiscoveryList, application/json",
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        ),
        ("application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,*/*", "application/json"),
        ("application/json," + AGGREGATED, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
    ],
)
def test_the_content_type_echoes_the_form_the_client_prefers(accept: str, answered: str) -> None:
    for path in ("/api", "/apis", "/apis/"):
        found = document(path, accept)
        assert found is not None
        assert found[1] == answered


def test_only_the_roots_have_an_aggregated_form() -> None:
    assert fetched("/api/v1", AGGREGATED)["kind"] == "APIResourceList"


@pytest.mark.parametrize("path", ["/api/v2", "/apis/example.com", "/apis/apps/v2", "/apis//v1", "/", "/version"])
def test_there_is_nothing_else(path: str) -> None:
    assert document(path, AGGREGATED) is None
