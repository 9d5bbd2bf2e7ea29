"""Nodes: silence, taints, evictions, pod address ranges."""

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import msgspec
import pytest

from kubesvc.api.views import Node, Pod, Taint, Toleration
from kubesvc.controllers import nodeipam
from kubesvc.controllers.changes import Change, Delete, Later, Patch, Tell
from kubesvc.controllers.nodelifecycle import GRACE_S, Inputs, reconcile, tolerated_for, tolerates
from kubesvc.testing import builders

NOW = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)


def node(*, status: str = "True", taints: list[dict[str, Any]] | None = None, **spec: Any) -> Node:
    document = builders.node("n1", **spec)
    document["spec"]["taints"] = taints
    document["status"]["conditions"][0]["status"] = status
    return msgspec.convert(document, Node)


def pod(name: str = "p", **fields: Any) -> Pod:
    return msgspec.convert(builders.pod(name, node="n1", ip="10.0.0.1", **fields), Pod)


def run(subject: Node, *pods: Pod, silent_for: float = 0.0) -> list[Change]:
    return reconcile(Inputs(subject, silent_for, pods), now=NOW)


def keys(change: Change) -> list[tuple[str, str]]:
    assert isinstance(change, Patch)
    return [(taint["key"], taint["effect"]) for taint in change.patch["spec"]["taints"] or ()]


def test_a_node_that_is_heard_of_is_looked_at_again_when_its_grace_would_end() -> None:
    assert run(node(), silent_for=20.0) == [Later(GRACE_S - 20.0)]


def test_a_silent_node_becomes_unknown() -> None:
    patch, told = run(node(), silent_for=GRACE_S)
    assert isinstance(patch, Patch)
    found = {c["type"]: (c["status"], c["reason"]) for c in patch.patch["status"]["conditions"]}
    assert found["Ready"] == ("Unknown", "NodeStatusUnknown")
    assert found["DiskPressure"] == ("Unknown", "NodeStatusNeverUpdated")
    assert isinstance(told, Tell)
    assert told.note.reason == "NodeNotReady"


def test_an_unknown_node_is_tainted_and_its_pods_leave_their_services() -> None:
    changes = run(node(status="Unknown"), pod(), silent_for=1.0)
    assert keys(changes[1]) == [
        ("node.kubernetes.io/unreachable", "NoSchedule"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
    ]
    assert isinstance(changes[2], Patch)
    ready = [c for c in changes[2].patch["status"]["conditions"] if c["type"] == "Ready"]
    assert [c["status"] for c in ready] == ["False"]


def test_a_recovered_node_loses_its_taints_and_keeps_those_of_others() -> None:
    taints = [
        {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
        {"key": "gpu", "effect": "NoSchedule"},
    ]
    changes = run(node(taints=taints), pod())
    assert keys(changes[1]) == [("gpu", "NoSchedule")]


def test_a_cordoned_node_is_tainted() -> None:
    changes = run(node(unschedulable=True))
    assert keys(changes[1]) == [("node.kubernetes.io/unschedulable", "NoSchedule")]


UNREACHABLE = {
    "key": "node.kubernetes.io/unreachable",
    "effect": "NoExecute",
    "timeAdded": "2026-01-01T00:05:30Z",
}
BOTH = [UNREACHABLE, {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}]


def test_pods_are_evicted_when_their_toleration_is_used_up() -> None:
    changes = run(node(status="Unknown", taints=BOTH), pod(ready=False), silent_for=60.0)
    assert not [c for c in changes if isinstance(c, Delete)]
    unknown = [c for c in changes if isinstance(c, Patch)]
    assert unknown  # the conditions not yet marked come first
    conditions = [{"type": t, "status": "Unknown"} for t in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")]
    settled = msgspec.convert(
        builders.node("n1") | {"spec": {"taints": BOTH}, "status": {"conditions": conditions}}, Node
    )
    assert Later(30.0) in run(settled, pod(ready=False), silent_for=60.0)
    late = reconcile(Inputs(settled, 90.0, (pod(ready=False),)), now=NOW.replace(minute=11))
    assert [type(c) for c in late] == [Delete]


@pytest.mark.parametrize(
    ("tolerations", "left"),
    [
        ([], 30.0),
        ([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}], None),
        ([{"operator": "Exists", "tolerationSeconds": 400}], 130.0),
        ([{"operator": "Exists", "tolerationSeconds": 10}], 0.0),
    ],
)
def test_how_long_a_pod_may_stay(tolerations: list[dict[str, Any]], left: float | None) -> None:
    taint = msgspec.convert(UNREACHABLE, Taint)
    assert tolerated_for(pod(tolerations=tolerations), taint, NOW) == left


def test_a_taint_of_a_persons_own_evicts_at_once() -> None:
    assert tolerated_for(pod(), Taint(key="maintenance", effect="NoExecute"), NOW) == 0.0


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "a", "value": "1"}, True),
        ({"key": "a", "value": "2"}, False),
        ({"key": "b", "operator": "Exists"}, False),
        ({"key": "a", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_what_a_toleration_tolerates(toleration: dict[str, Any], expected: bool) -> None:
    assert (
        tolerates(msgspec.convert(toleration, Toleration), Taint(key="a", value="1", effect="NoSchedule")) is expected
    )


CLUSTER = ip_network("10.244.0.0/16")


def test_a_node_gets_the_first_free_range() -> None:
    changes, block = nodeipam.reconcile(node(), cluster=CLUSTER, taken={ip_network("10.244.0.0/24")})
    assert str(block) == "10.244.1.0/24"
    assert isinstance(changes[0], Patch)
    assert changes[0].patch == {"spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"]}}


def test_a_given_range_is_kept() -> None:
    assert nodeipam.reconcile(node(podCIDR="10.244.7.0/24"), cluster=CLUSTER, taken=set()) == (
        [],
        ip_network("10.244.7.0/24"),
    )


def test_an_exhausted_network_is_told() -> None:
    small = ip_network("10.244.0.0/24")
    [told], block = nodeipam.reconcile(node(), cluster=small, taken={small})
    assert block is None
    assert isinstance(told, Tell)
