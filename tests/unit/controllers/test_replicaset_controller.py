"""A ReplicaSet keeps as many pods as it is asked for."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from kubesvc.api.apps import ReplicaSet
from kubesvc.api.views import Pod
from kubesvc.controllers.changes import Batch, Change, Create, Delete, Later, Patch
from kubesvc.controllers.replicaset.ranking import choose_for_deletion
from kubesvc.controllers.replicaset.reconcile import Inputs, reconcile
from kubesvc.testing import builders

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}}


def replica_set(replicas: int = 3, *, status: dict[str, Any] | None = None, **spec: Any) -> ReplicaSet:
    document = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web-1", "namespace": "default", "uid": "uid-web-1", "generation": 1},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE} | spec,
        "status": status or {},
    }
    return msgspec.convert(document, ReplicaSet)


OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-1", "uid": "uid-web-1"}}


def pod(name: str, *, since: str = "", created: str = "", restarts: int = 0, cost: str = "", **fields: Any) -> Pod:
    fields = {"ip": "10.0.0.1", "node": "n1", "owner": OWNER, "labels": {"app": "web"}} | fields
    document = builders.pod(name, **fields)
    document["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": "1"}
    if created:
        document["metadata"]["creationTimestamp"] = created
    if cost:
        document["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": cost}
    if restarts:
        document["status"]["containerStatuses"] = [{"restartCount": restarts}]
    for condition in document["status"].get("conditions", ()):
        condition["lastTransitionTime"] = since or "2026-01-01T00:00:00Z"
    return msgspec.convert(document, Pod)


def run(owner: ReplicaSet, *pods: Pod) -> list[Change]:
    return reconcile(Inputs(owner, pods), now=NOW)


def batch(changes: list[Change]) -> tuple[Create | Delete, ...]:
    return next(change.changes for change in changes if isinstance(change, Batch))


def status(changes: list[Change]) -> dict[str, Any]:
    [patch] = [change for change in changes if isinstance(change, Patch) and change.subresource == "status"]
    found: dict[str, Any] = patch.patch["status"]
    return found


def test_missing_pods_are_made_from_the_template() -> None:
    new = batch(run(replica_set(3), pod("a")))
    assert len(new) == 2
    assert isinstance(new[0], Create)
    document = new[0].obj
    assert document["metadata"]["generateName"] == "web-1-"
    assert document["metadata"]["labels"] == {"app": "web"}
    assert document["metadata"]["ownerReferences"][0]["controller"] is True
    assert document["spec"] == TEMPLATE["spec"]


def test_a_creation_is_told_and_so_is_its_failure() -> None:
    [new] = batch(run(replica_set(1)))
    assert new.note is not None
    assert (new.note.reason, new.note.message) == ("SuccessfulCreate", "Created pod: {name}")
    assert (new.note.failure_reason, new.note.failure_message) == ("FailedCreate", "Error creating: ")


def test_surplus_pods_are_deleted() -> None:
    gone = batch(run(replica_set(1), pod("a"), pod("b"), pod("c")))
    assert len(gone) == 2
    assert all(isinstance(change, Delete) for change in gone)


def test_pods_over_or_on_their_way_out_do_not_count() -> None:
    changes = run(replica_set(2), pod("a"), pod("b", deleting=True), pod("c", phase="Failed"))
    assert len(batch(changes)) == 1
    assert (status(changes)["replicas"], status(changes)["terminatingReplicas"]) == (1, 1)


def test_a_matching_orphan_is_adopted_and_counts() -> None:
    changes = run(replica_set(2), pod("a"), pod("b", owner=None))
    [adoption] = [change for change in changes if isinstance(change, Patch) and not change.subresource]
    assert adoption.key.name == "b"
    assert adoption.patch["metadata"]["ownerReferences"][0]["uid"] == "uid-web-1"
    assert adoption.patch["metadata"]["uid"] == "uid-b"
    assert not [change for change in changes if isinstance(change, Batch)]


def test_a_pod_relabelled_away_is_let_go_and_replaced() -> None:
    changes = run(replica_set(1), pod("a", labels={"app": "other"}))
    [release] = [change for change in changes if isinstance(change, Patch) and not change.subresource]
    assert release.patch["metadata"]["ownerReferences"] is None
    assert len(batch(changes)) == 1


def test_a_pod_of_another_controller_is_none_of_its_business() -> None:
    other = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "x", "uid": "uid-x"}}
    assert not [c for c in run(replica_set(0), pod("a", owner=other)) if not isinstance(c, Patch) or not c.subresource]


def test_a_set_being_deleted_makes_nothing() -> None:
    owner = replica_set(3)
    leaving = msgspec.structs.replace(owner.metadata, deletion_timestamp="2026-01-01T00:00:00Z")
    assert not [c for c in run(msgspec.structs.replace(owner, metadata=leaving)) if isinstance(c, Batch)]


def test_status_counts_and_an_unchanged_status_is_not_written() -> None:
    pods = (pod("a"), pod("b", ready=False))
    counted = status(run(replica_set(2), *pods))
    assert counted["replicas"] == 2
    assert counted["readyReplicas"] == counted["availableReplicas"] == 1
    assert counted["fullyLabeledReplicas"] == 2
    assert counted["observedGeneration"] == 1
    settled = {name: value for name, value in counted.items() if value is not None}
    assert run(replica_set(2, status=settled), *pods) == []


def test_min_ready_seconds_delays_availability_and_brings_the_key_back() -> None:
    owner = replica_set(1, minReadySeconds=30)
    fresh = pod("a", since="2026-01-01T00:59:50Z")
    changes = run(owner, fresh)
    assert status(changes)["availableReplicas"] is None
    assert Later(20.0) in changes


def test_a_failed_creation_becomes_a_condition_once() -> None:
    [change] = [c for c in run(replica_set(1)) if isinstance(c, Batch)]
    assert change.on_failure is not None
    [patch] = change.on_failure("quota exceeded")
    [condition] = patch.patch["status"]["conditions"]
    assert (condition["type"], condition["reason"], condition["message"]) == (
        "ReplicaFailure",
        "FailedCreate",
        "quota exceeded",
    )
    known = replica_set(1, status={"conditions": [condition]})
    [again] = [c for c in run(known) if isinstance(c, Batch)]
    assert again.on_failure is not None
    assert list(again.on_failure("quota exceeded")) == []


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ({"node": ""}, {}, "unassigned before assigned"),
        ({"ip": "", "phase": "Pending"}, {}, "pending before running"),
        ({"ready": False}, {}, "not ready before ready"),
        ({"cost": "-5"}, {"cost": "10"}, "cheaper before dearer"),
        ({"node": "crowded"}, {"node": "n1"}, "from the crowded node first"),
        ({"since": "2026-01-01T00:59:59Z"}, {"since": "2026-01-01T00:00:00Z"}, "ready for a shorter time first"),
        ({"restarts": 5}, {"restarts": 1}, "more restarts first"),
        ({"created": "2026-01-01T00:59:00Z"}, {"created": "2025-12-31T00:00:00Z"}, "younger first"),
    ],
)
def test_the_pods_that_hurt_least_go_first(first: dict[str, Any], second: dict[str, Any], why: str) -> None:
    one, two = pod("one", **first), pod("two", **second)
    neighbours = [pod(f"x{n}", node="crowded") for n in range(3)]
    chosen = choose_for_deletion([two, one], 1, related=[one, two, *neighbours], now=NOW)
    assert [found.metadata.name for found in chosen] == ["one"], why
