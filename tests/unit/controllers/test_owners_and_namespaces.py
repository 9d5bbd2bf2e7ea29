"""What becomes of objects whose owners or namespaces go."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from kubesvc.api.resources import CONFIGMAPS, EVENTS, PODS, REPLICASETS, SERVICEACCOUNTS, SERVICES, Key, Resource
from kubesvc.api.views import Namespace, ObjectMeta, Pod
from kubesvc.controllers import garbage, namespace, podgc
from kubesvc.controllers.changes import Change, Create, Delete, Patch, Update
from kubesvc.controllers.garbage import Inputs, Member, OwnerState, reconcile
from kubesvc.controllers.graph import OwnerGraph
from kubesvc.testing import builders

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def member(name: str, *owners: str, resource: Resource = PODS, **meta: Any) -> Member:
    references = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": uid, "uid": uid, "blockOwnerDeletion": True}
        for uid in owners
    ]
    document = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "ownerReferences": references,
    }
    return Member(resource, msgspec.convert(document | meta, ObjectMeta))


def run(subject: Member, *states: OwnerState, dependents: tuple[Member, ...] = ()) -> list[Change]:
    owners = list(zip(subject.meta.owner_references or (), states, strict=True))
    return reconcile(Inputs(subject, owners, dependents))


def test_an_object_whose_owners_are_gone_is_deleted() -> None:
    [change] = run(member("p", "rs"), OwnerState.ABSENT)
    assert isinstance(change, Delete)
    assert (change.uid, change.propagation) == ("uid-p", "Background")


@pytest.mark.parametrize("state", [OwnerState.PRESENT, OwnerState.UNKNOWN])
def test_an_object_whose_owner_may_exist_stays(state: OwnerState) -> None:
    assert run(member("p", "rs"), state) == []


def test_one_living_owner_is_enough_and_the_others_are_forgotten() -> None:
    [change] = run(member("p", "gone", "here"), OwnerState.ABSENT, OwnerState.PRESENT)
    assert isinstance(change, Patch)
    assert [owner["uid"] for owner in change.patch["metadata"]["ownerReferences"]] == ["here"]


def test_dependents_of_an_owner_deleted_in_the_foreground_go_first() -> None:
    waiting = member("rs", finalizers=["foregroundDeletion"], deletionTimestamp="2026-01-01T00:00:00Z")
    assert garbage.state_of(waiting.meta) is OwnerState.WAITING
    [change] = run(member("p", "uid-rs"), OwnerState.WAITING)
    assert isinstance(change, Delete)
    assert run(waiting, dependents=(member("p", "uid-rs"),)) == []
    [release] = run(waiting)
    assert isinstance(release, Patch)
    assert release.patch["metadata"]["finalizers"] is None


def test_an_orphaning_owner_is_taken_out_of_its_dependents_first() -> None:
    owner = member("rs", finalizers=["orphan", "x/keep"], deletionTimestamp="2026-01-01T00:00:00Z")
    changes = run(owner, dependents=(member("p", "uid-rs"),))
    assert [type(change) for change in changes] == [Patch, Patch]
    assert isinstance(changes[0], Patch)
    assert isinstance(changes[1], Patch)
    assert changes[0].patch["metadata"]["ownerReferences"] is None
    assert changes[1].patch["metadata"]["finalizers"] == ["x/keep"]


def test_the_graph_follows_what_it_is_told() -> None:
    graph = OwnerGraph()
    pod = member("p", "uid-rs")
    graph.put(REPLICASETS, Key("default", "rs"), member("rs").meta)
    graph.put(PODS, pod.key, pod.meta)
    assert [found.key.name for found in graph.dependents("uid-rs")] == ["p"]
    assert graph.by_uid("uid-rs") is not None
    assert len(list(graph.in_namespace("default"))) == 2
    graph.put(PODS, pod.key, msgspec.structs.replace(pod.meta, owner_references=None))
    assert list(graph.dependents("uid-rs")) == []
    graph.put(PODS, pod.key, None)
    graph.put(REPLICASETS, Key("default", "rs"), None)
    assert (list(graph.in_namespace("default")), graph.by_uid("uid-rs")) == ([], None)


def terminating(*contents: Member, events: tuple[ObjectMeta, ...] = (), **status: Any) -> list[Change]:
    document = builders.namespace("old", deleting=True)
    document["status"] |= status
    view = msgspec.convert(document, Namespace)
    return namespace.reconcile(namespace.Inputs(view, document, contents, events), now=NOW)


def test_a_terminating_namespace_deletes_what_is_in_it_pods_last() -> None:
    changes = terminating(member("p"), member("s", resource=SERVICES))
    assert [c.resource for c in changes if isinstance(c, Delete)] == [SERVICES, PODS]


def test_what_is_on_its_way_out_is_not_deleted_again_but_awaited() -> None:
    leaving = member("p", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["x/wait"])
    changes = terminating(leaving)
    assert not [c for c in changes if isinstance(c, Delete | Update)]
    [patch] = [c for c in changes if isinstance(c, Patch)]
    messages = {c["type"]: c["message"] for c in patch.patch["status"]["conditions"]}
    assert messages["NamespaceContentRemaining"] == "Some resources are remaining: pods. has 1 resource instances"
    assert "x/wait" in messages["NamespaceFinalizersRemaining"]


def test_an_empty_namespace_loses_its_events_and_is_let_go() -> None:
    event = ObjectMeta(name="e", namespace="old", uid="uid-e")
    changes = terminating(events=(event,))
    assert isinstance(changes[0], Delete)
    assert changes[0].resource is EVENTS
    assert isinstance(changes[1], Update)
    assert (changes[1].subresource, changes[1].obj["spec"]["finalizers"]) == ("finalize", [])


def test_an_active_namespace_is_left_alone() -> None:
    document = builders.namespace("new")
    view = msgspec.convert(document, Namespace)
    assert namespace.reconcile(namespace.Inputs(view, document, (member("p"),)), now=NOW) == []


def test_every_namespace_gets_an_account_and_the_clusters_ca() -> None:
    view = msgspec.convert(builders.namespace("new"), Namespace)
    [account] = namespace.missing_account(view, exists=False, resource=SERVICEACCOUNTS)
    assert isinstance(account, Create)
    assert account.obj["metadata"] == {"name": "default", "namespace": "new"}
    assert namespace.missing_account(view, exists=True, resource=SERVICEACCOUNTS) == []
    [ca] = namespace.missing_root_ca(view, None, "PEM", CONFIGMAPS)
    assert isinstance(ca, Create)
    assert ca.obj["data"] == {"ca.crt": "PEM"}
    assert namespace.missing_root_ca(view, {"ca.crt": "PEM"}, "PEM", CONFIGMAPS) == []
    [repaired] = namespace.missing_root_ca(view, {"ca.crt": "old"}, "PEM", CONFIGMAPS)
    assert isinstance(repaired, Patch)


def pod(**fields: Any) -> Pod:
    return msgspec.convert(builders.pod("p", **fields), Pod)


def test_a_pod_of_a_lost_node_is_failed_and_removed() -> None:
    patch, delete = podgc.reconcile(pod(ip="10.0.0.1", node="gone"), node_exists=False)
    assert isinstance(patch, Patch)
    assert patch.patch["status"]["phase"] == "Failed"
    assert isinstance(delete, Delete)
    assert delete.grace_seconds == 0
    assert podgc.reconcile(pod(ip="10.0.0.1", node="here"), node_exists=True) == []


def test_a_pod_deleted_before_it_had_a_node_is_removed_at_once() -> None:
    [delete] = podgc.reconcile(pod(deleting=True), node_exists=False)
    assert isinstance(delete, Delete)
    assert podgc.reconcile(pod(), node_exists=False) == []
