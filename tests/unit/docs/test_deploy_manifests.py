"""The manifests in deploy/: every field is one that Kubernetes has, and roles may what their parts do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from kubesvc.api.schema import unknown_fields
from kubesvc.client.rest import Client
from kubesvc.dns.feed import Feed, FeedOptions
from kubesvc.testing.local import LocalTransport

DEPLOY = Path(__file__).parents[3] / "deploy"
Document = dict[str, Any]


def documents(name: str) -> list[Document]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def type_of(document: Document) -> str:
    group, _, version = document["apiVersion"].rpartition("/")
    return f"{group.removesuffix('.k8s.io').removesuffix('.authorization') or 'core'}.{version}.{document['kind']}"


def only(name: str, kind: str) -> Document:
    (document,) = (document for document in documents(name) if document["kind"] == kind)
    return document


@pytest.mark.parametrize("name", sorted(path.name for path in DEPLOY.glob("*.yaml")))
def test_every_field_is_one_that_kubernetes_has(name: str) -> None:
    found = {(d["kind"], field) for d in documents(name) for field in unknown_fields(d, type_of(d))}
    assert found == set()


@pytest.mark.parametrize("name", sorted(path.name for path in DEPLOY.glob("*.yaml")))
def test_the_pods_account_is_bound_to_the_role_that_stands_beside_it(name: str) -> None:
    account, role, binding = (only(name, kind) for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding"))
    workload = next(d for d in documents(name) if d["kind"] in ("Deployment", "DaemonSet"))
    assert workload["spec"]["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["metadata"]["name"],
    }  # fmt: skip
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": account["metadata"]["namespace"]}
    ]


def test_the_dns_may_list_and_watch_what_it_watches_and_nothing_more() -> None:
    feed = Feed(Client(LocalTransport()), lambda row: None, FeedOptions(verify_pods=True))
    watched = {(informer.resource.group, informer.resource.plural) for informer in feed._informers}
    rules = only("dns.yaml", "ClusterRole")["rules"]
    allowed = {(group, plural) for rule in rules for group in rule["apiGroups"] for plural in rule["resources"]}
    assert allowed == watched
    assert all(rule["verbs"] == ["list", "watch"] for rule in rules)
