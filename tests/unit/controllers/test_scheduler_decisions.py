"""Where pods go, and the sentence when they can go nowhere."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from kubesvc.api.views import Node, Pod
from kubesvc.controllers.changes import Create, Patch, Tell
from kubesvc.controllers.scheduler.decide import Candidate, Decision, binding, decide, is_ours, unschedulable
from kubesvc.testing import builders

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "rs", "uid": "uid-rs"}}


def node(name: str, *, allocatable: dict[str, str] | None = None, **fields: Any) -> Node:
    document = builders.node(name, **fields)
    document["status"]["allocatable"] = allocatable
    return msgspec.convert(document, Node)


def pod(name: str = "p", *, requests: dict[str, str] | None = None, **fields: Any) -> Pod:
    document = builders.pod(name, **fields)
    document["metadata"]["uid"] = f"uid-{name}"
    if requests:
        document["spec"]["containers"][0]["resources"] = {"requests": requests}
    return msgspec.convert(document, Pod)


def place(subject: Pod, *candidates: Candidate | Node) -> Decision:
    made = [c if isinstance(c, Candidate) else Candidate(c, ()) for c in candidates]
    return decide(subject, made, {})


def test_replicas_of_one_owner_are_spread() -> None:
    siblings = [pod("a", owner=OWNER, ip="10.0.0.1", node="n1")]
    strangers = [pod(f"x{n}", ip="10.0.0.9", node="n2") for n in range(5)]
    decision = place(pod(owner=OWNER), Candidate(node("n1"), siblings), Candidate(node("n2"), strangers))
    assert decision.node == "n2"


def test_otherwise_the_emptier_node_is_taken_then_the_first_by_name() -> None:
    busy = [pod("x", ip="10.0.0.9", node="n1")]
    assert place(pod(), Candidate(node("n1"), busy), node("n2")).node == "n2"
    assert place(pod(), node("n2"), node("n1")).node == "n1"


def test_the_node_selector_decides() -> None:
    wanted = pod(nodeSelector={"disk": "ssd"})
    assert place(wanted, node("n1"), node("n2", labels={"disk": "ssd"})).node == "n2"


def affinity(*expressions: dict[str, Any]) -> dict[str, Any]:
    terms = [{"matchExpressions": list(expressions)}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "disk", "operator": "In", "values": ["ssd"]}, "n2"),
        ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, "n1"),
        ({"key": "disk", "operator": "Exists"}, "n2"),
        ({"key": "disk", "operator": "DoesNotExist"}, "n1"),
        ({"key": "cores", "operator": "Gt", "values": ["8"]}, "n2"),
        ({"key": "cores", "operator": "Lt", "values": ["8"]}, "n1"),
    ],
)
def test_required_node_affinity_decides(expression: dict[str, Any], expected: str) -> None:
    nodes = (node("n1", labels={"cores": "4"}), node("n2", labels={"disk": "ssd", "cores": "16"}))
    assert place(pod(affinity=affinity(expression)), *nodes).node == expected


def test_no_node_at_all_is_said() -> None:
    assert place(pod()) == Decision(None, "no nodes available to schedule pods")


def test_the_sentence_counts_the_reasons() -> None:
    decision = place(
        pod(requests={"cpu": "2"}, nodeSelector={"zone": "a"}),
        node("n1", unschedulable=True),
        node("n2"),
        node("n3", labels={"zone": "a"}, allocatable={"cpu": "1500m"}),
        node("n4", taints=[{"key": "gpu", "effect": "NoSchedule"}]),
    )
    assert decision.message == (
        "0/4 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector, "
        "1 node(s) had untolerated taint {gpu: }, 1 node(s) were unschedulable."
    )


def test_a_tolerated_taint_is_no_obstacle() -> None:
    tainted = node("n1", taints=[{"key": "gpu", "effect": "NoSchedule"}])
    assert place(pod(tolerations=[{"key": "gpu", "operator": "Exists"}]), tainted).node == "n1"


def test_a_node_that_is_not_ready_takes_no_pods() -> None:
    decision = place(pod(), node("n1", ready=False))
    assert (
        decision.message == "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }."
    )


@pytest.mark.parametrize(
    ("asked", "used", "fits"),
    [
        ({"cpu": "500m"}, {"cpu": "500m"}, True),
        ({"cpu": "501m"}, {"cpu": "500m"}, False),
        ({"memory": "2Gi"}, {}, False),
    ],
)
def test_requests_must_fit_beside_those_already_there(asked: Any, used: Any, fits: bool) -> None:
    there = [pod("x", requests=used, ip="10.0.0.9", node="n1")]
    room = node("n1", allocatable={"cpu": "1", "memory": "1Gi", "pods": "110"})
    assert (place(pod(requests=asked), Candidate(room, there)).node == "n1") is fits


def test_a_full_node_has_too_many_pods() -> None:
    there = [pod("x", ip="10.0.0.9", node="n1")]
    full = Candidate(node("n1", allocatable={"pods": "1"}), there)
    assert place(pod(), full).message == "0/1 nodes are available: 1 Too many pods."


def test_only_pods_that_name_no_node_and_no_other_scheduler_are_ours() -> None:
    assert is_ours(pod())
    assert not is_ours(pod(node="n1"))
    assert not is_ours(pod(schedulerName="mine"))
    assert not is_ours(pod(deleting=True))


def test_a_decision_becomes_a_binding_and_is_told() -> None:
    change = binding(pod(), "n1")
    assert isinstance(change, Create)
    assert change.subresource == "binding"
    assert change.obj["target"] == {"apiVersion": "v1", "kind": "Node", "name": "n1"}
    assert change.note is not None
    assert change.note.message == "Successfully assigned default/p to n1"


def test_an_unschedulable_pod_says_so_once() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    told, patch = unschedulable(pod(), "0/1 nodes are available: 1 Too many pods.", now=now)
    assert isinstance(told, Tell)
    assert told.note.reason == "FailedScheduling"
    assert isinstance(patch, Patch)
    [condition] = patch.patch["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    document = builders.pod("p")
    document["status"]["conditions"] = [condition]
    known = msgspec.convert(document, Pod)
    assert unschedulable(known, "0/1 nodes are available: 1 Too many pods.", now=now) == []
