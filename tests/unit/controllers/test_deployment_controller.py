"""A Deployment rolls from one ReplicaSet to the next within its bounds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesvc.api.apps import Deployment, ReplicaSet
from kubesvc.api.views import Pod
from kubesvc.controllers.changes import Change, Create, Delete, Later, Patch
from kubesvc.controllers.deployment import scaling
from kubesvc.controllers.deployment.reconcile import Inputs, reconcile
from kubesvc.controllers.deployment.revisions import HASH_LABEL, split, template_hash

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def template(version: str = "1") -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": f"x:{version}"}]}}


def deployment(
    replicas: int = 3, version: str = "1", *, meta: Any = None, status: Any = None, **spec: Any
) -> Deployment:
    document = {
        "metadata": {"name": "web", "namespace": "default", "uid": "uid-web", "generation": 1} | (meta or {}),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(version),
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
        }
        | spec,
        "status": status or {},
    }
    return msgspec.convert(document, Deployment)


def owned(
    name: str, replicas: int, version: str = "1", *, available: int | None = None, desired: int = 3, revision: int = 1,
    labels: dict[str, str] | None = None, number: int = 0, maximum: int = 4,
) -> ReplicaSet:  # fmt: skip
    with_hash = template(version)
    with_hash["metadata"]["labels"][HASH_LABEL] = name
    count = replicas if available is None else available
    document = {
        "metadata": {
            "name": f"web-{name}",
            "namespace": "default",
            "uid": f"uid-{name}",
            "creationTimestamp": f"2026-01-01T00:00:{number:02d}Z",
            "labels": labels or with_hash["metadata"]["labels"],
            "annotations": {
                "deployment.kubernetes.io/revision": str(revision),
                "deployment.kubernetes.io/desired-replicas": str(desired),
                "deployment.kubernetes.io/max-replicas": str(maximum),
            },
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "uid-web", "controller": True}
            ],
        },
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": with_hash},
        "status": {"replicas": replicas, "readyReplicas": count, "availableReplicas": count},
    }
    return msgspec.convert(document, ReplicaSet)


def run(subject: Deployment, *sets: ReplicaSet, pods: dict[str, list[Pod]] | None = None) -> list[Change]:
    return reconcile(Inputs(subject, sets, pods or {}), now=NOW)


def sizes(changes: list[Change]) -> dict[str, int]:
    found = {}
    for change in changes:
        if isinstance(change, Patch) and change.resource.kind == "ReplicaSet" and "spec" in change.patch:
            found[change.key.name] = change.patch["spec"]["replicas"]
    return found


def status(changes: list[Change]) -> dict[str, Any]:
    patches = [c for c in changes if isinstance(c, Patch) and c.subresource == "status"]
    found: dict[str, Any] = patches[-1].patch["status"]
    return found


def condition(changes: list[Change], type_: str) -> dict[str, Any]:
    return next(c for c in status(changes)["conditions"] if c["type"] == type_)


def test_a_new_deployment_makes_its_first_set() -> None:
    changes = run(deployment(3))
    [new] = [change for change in changes if isinstance(change, Create)]
    word = template_hash(template(), None)
    assert new.obj["metadata"]["name"] == f"web-{word}"
    assert new.obj["spec"]["replicas"] == 3
    assert new.obj["spec"]["selector"]["matchLabels"] == {"app": "web", HASH_LABEL: word}
    assert new.obj["spec"]["template"]["metadata"]["labels"][HASH_LABEL] == word
    assert new.obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert new.note is not None
    assert new.note.message == f"Scaled up replica set web-{word} from 0 to 3"
    assert condition(changes, "Progressing")["reason"] == "NewReplicaSetCreated"
    assert condition(changes, "Available")["status"] == "False"


def test_the_template_hash_is_stable_and_safe_in_names() -> None:
    assert template_hash(template(), None) == template_hash(dict(reversed(template().items())), None)
    assert template_hash(template(), None) != template_hash(template("2"), None)
    assert template_hash(template(), 1) != template_hash(template(), None)
    assert len(template_hash(template(), None)) == 10


def test_a_taken_name_counts_as_a_collision() -> None:
    foreign = owned(template_hash(template(), None), 1, labels={"app": "other"}, version="9")
    foreign = msgspec.structs.replace(
        foreign, metadata=msgspec.structs.replace(foreign.metadata, owner_references=None)
    )
    changes = run(deployment(3), foreign)
    assert status(changes)["collisionCount"] == 1
    assert not [change for change in changes if isinstance(change, Create)]


def test_a_new_template_starts_with_the_surge() -> None:
    [new] = [c for c in run(deployment(3, "2"), owned("a", 3)) if isinstance(c, Create)]
    assert new.obj["spec"]["replicas"] == 1
    assert new.obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


def test_old_pods_go_as_new_ones_become_available() -> None:
    step = run(deployment(3, "2"), owned("a", 3), owned("b", 1, "2", revision=2, number=1))
    assert sizes(step) == {"web-a": 2}
    waiting = run(deployment(3, "2"), owned("a", 3), owned("b", 1, "2", available=0, revision=2, number=1))
    assert sizes(waiting) == {}


def test_unhealthy_old_pods_go_first() -> None:
    step = run(deployment(3, "2"), owned("a", 3, available=2), owned("b", 1, "2", revision=2, number=1))
    assert sizes(step) == {"web-a": 2}


def test_a_finished_rollout_is_said_to_be_available() -> None:
    changes = run(deployment(3, "2"), owned("a", 0), owned("b", 3, "2", revision=2, number=1))
    assert condition(changes, "Progressing")["reason"] == "NewReplicaSetAvailable"
    assert condition(changes, "Available")["status"] == "True"
    assert status(changes)["updatedReplicas"] == status(changes)["replicas"] == 3
    assert status(changes)["observedGeneration"] == 1


def test_a_settled_deployment_changes_nothing() -> None:
    current = owned("b", 3, "2", revision=2, number=1)
    first = run(deployment(3, "2", meta={"annotations": {"deployment.kubernetes.io/revision": "2"}}), current)
    settled = {name: value for name, value in status(first).items() if value is not None}
    again = deployment(3, "2", meta={"annotations": {"deployment.kubernetes.io/revision": "2"}}, status=settled)
    assert run(again, current) == []


def test_scaling_a_settled_deployment_resizes_its_set() -> None:
    assert sizes(run(deployment(5), owned("a", 3))) == {"web-a": 5}


def test_scaling_in_the_middle_of_a_rollout_is_proportional() -> None:
    # 10 replicas, 8 old and 5 new with a surge of 3; to 30 replicas: as many more of each kind.
    strategy = {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    old, new = owned("a", 8, desired=10, maximum=13), owned("b", 5, "2", desired=10, maximum=13, number=1)
    assert sizes(run(deployment(30, "2", strategy=strategy), old, new)) == {"web-a": 20, "web-b": 13}


def test_recreate_waits_for_all_old_pods() -> None:
    subject = deployment(3, "2", strategy={"type": "Recreate"})
    assert sizes(run(subject, owned("a", 3))) == {"web-a": 0}
    gone = owned("a", 0)
    leaving = msgspec.convert({"metadata": {"name": "p"}, "status": {"phase": "Running"}}, Pod)
    assert not [c for c in run(subject, gone, pods={"uid-a": [leaving]}) if isinstance(c, Create)]
    [new] = [c for c in run(subject, gone, pods={"uid-a": []}) if isinstance(c, Create)]
    assert new.obj["spec"]["replicas"] == 3


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    known = {"conditions": [{"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused"}]}
    subject = deployment(5, "2", paused=True, status=known)
    changes = run(subject, owned("a", 3))
    assert sizes(changes) == {"web-a": 5}
    assert not [change for change in changes if isinstance(change, Create)]


@pytest.mark.parametrize(
    ("is_paused", "before", "after"),
    [(True, "ReplicaSetUpdated", "DeploymentPaused"), (False, "DeploymentPaused", "DeploymentResumed")],
)
def test_pausing_and_resuming_are_conditions(is_paused: bool, before: str, after: str) -> None:
    known = {"conditions": [{"type": "Progressing", "status": "Unknown", "reason": before}]}
    assert (
        condition(run(deployment(3, paused=is_paused, status=known), owned("a", 3)), "Progressing")["reason"] == after
    )


def progressing(reason: str, since: datetime) -> dict[str, Any]:
    moment = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "replicas": 3, "updatedReplicas": 3, "readyReplicas": 1, "availableReplicas": 1,
        "conditions": [
            {"type": "Progressing", "status": "True", "reason": reason, "lastUpdateTime": moment},
        ],
    }  # fmt: skip


def test_a_stuck_rollout_is_reported_after_its_deadline() -> None:
    stuck = deployment(3, status=progressing("ReplicaSetUpdated", NOW - timedelta(seconds=601)))
    changes = run(stuck, owned("a", 3, available=1))
    found = condition(changes, "Progressing")
    assert (found["status"], found["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert found["message"] == 'ReplicaSet "web-a" has timed out progressing.'


def test_a_rollout_under_way_comes_back_when_its_deadline_is_due() -> None:
    waiting = deployment(3, status=progressing("ReplicaSetUpdated", NOW - timedelta(seconds=100)))
    assert Later(501.0) in run(waiting, owned("a", 3, available=1))


def test_a_rollback_takes_the_old_set_and_a_new_revision() -> None:
    changes = run(deployment(3, "1"), owned("a", 0, revision=1), owned("b", 3, "2", revision=2, number=1))
    [patch] = [
        c for c in changes
        if isinstance(c, Patch) and c.key.name == "web-a" and "revision-history" in str(c.patch)
    ]  # fmt: skip
    annotations = patch.patch["metadata"]["annotations"]
    assert annotations["deployment.kubernetes.io/revision"] == "3"
    assert annotations["deployment.kubernetes.io/revision-history"] == "1"
    assert sizes(changes)["web-a"] == 1


def test_old_sets_beyond_the_history_limit_are_deleted() -> None:
    old = [owned(f"o{n}", 0, f"v{n}", revision=n, number=n) for n in range(4)]
    current = owned("now", 3, "2", revision=9, number=9)
    changes = run(deployment(3, "2", revisionHistoryLimit=2), *old, current)
    assert [c.key.name for c in changes if isinstance(c, Delete)] == ["web-o0", "web-o1"]


def test_a_matching_set_without_owner_is_adopted() -> None:
    orphan = owned("a", 3)
    orphan = msgspec.structs.replace(orphan, metadata=msgspec.structs.replace(orphan.metadata, owner_references=None))
    changes = run(deployment(3), orphan)
    assert not [change for change in changes if isinstance(change, Create)]
    [adoption] = [c for c in changes if isinstance(c, Patch) and "ownerReferences" in str(c.patch)]
    assert adoption.key.name == "web-a"


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [(10, "25%", "25%", (3, 2)), (1, "25%", "25%", (1, 0)), (3, "0%", "1%", (0, 1)), (0, "25%", "25%", (0, 0))],
)
def test_fenceposts_round_so_that_something_can_always_move(
    replicas: int, surge: str, unavailable: str, expected: tuple[int, int]
) -> None:
    posts = scaling.fenceposts(
        deployment(replicas, strategy={"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
    )
    assert (posts.surge, posts.unavailable) == expected


limits = st.one_of(st.integers(0, 5), st.sampled_from(("0%", "25%", "50%", "100%")))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 12), limits, limits)
def test_every_rollout_arrives_and_stays_within_its_bounds(replicas: int, surge: Any, unavailable: Any) -> None:
    strategy = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    subject = deployment(replicas, "2", strategy=strategy)
    posts = scaling.fenceposts(subject)
    count = {"web-a": replicas, "web-b": 0}
    for _ in range(4 * replicas + 4):
        sets = split(
            subject,
            [owned("a", count["web-a"]), owned("b", count["web-b"], "2", revision=2, number=1)],
        )
        step = scaling.roll(subject, sets)
        if not step:
            break
        count |= step
        assert sum(count.values()) <= replicas + posts.surge
        assert sum(count.values()) >= replicas - posts.unavailable
    assert count == {"web-a": 0, "web-b": replicas}
