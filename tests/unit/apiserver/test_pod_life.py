"""Pods: their ServiceAccount, their node, their end."""

import asyncio
from typing import Any

import pytest
from tests.unit.apiserver.world import World

PODS = "/api/v1/namespaces/default/pods"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
MERGE = "application/merge-patch+json"


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


@pytest.fixture
async def account(world: World) -> dict[str, Any]:
    return await world.create(ACCOUNTS, {"metadata": {"name": "default"}})


async def bind(world: World, name: str = "p", node: str = "n") -> tuple[int, dict[str, Any]]:
    binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
    return await world.call("POST", f"{PODS}/{name}/binding", binding)


async def test_a_pod_mounts_its_accounts_token(world: World, account: dict[str, Any]) -> None:
    made = await world.create(PODS, pod())
    (volume,) = made["spec"]["volumes"]
    assert made["spec"]["serviceAccountName"] == "default"
    assert volume["name"].startswith("kube-api-access-")
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken", "configMap", "downwardAPI",
    ]  # fmt: skip
    (mount,) = made["spec"]["containers"][0]["volumeMounts"]
    assert (mount["name"], mount["mountPath"], mount["readOnly"]) == (
        volume["name"], "/var/run/secrets/kubernetes.io/serviceaccount", True,
    )  # fmt: skip


async def test_a_pod_outlasts_five_minutes_of_node_trouble_unless_it_says_otherwise(
    world: World, account: dict[str, Any]
) -> None:
    plain = await world.create(PODS, pod("a"))
    assert [(t["key"], t["tolerationSeconds"]) for t in plain["spec"]["tolerations"]] == [
        ("node.kubernetes.io/not-ready", 300), ("node.kubernetes.io/unreachable", 300),
    ]  # fmt: skip
    own = [{"operator": "Exists"}]
    assert (await world.create(PODS, pod("b", tolerations=own)))["spec"]["tolerations"] == own


async def test_pod_or_account_may_decline_the_token(world: World) -> None:
    await world.create(ACCOUNTS, {"metadata": {"name": "default"}, "automountServiceAccountToken": False})
    assert "volumes" not in (await world.create(PODS, pod("a")))["spec"]
    assert "volumes" in (await world.create(PODS, pod("b", automountServiceAccountToken=True)))["spec"]
    assert "volumes" not in (await world.create(PODS, pod("c", automountServiceAccountToken=False)))["spec"]


async def test_a_pod_waits_for_the_account_of_a_new_namespace(world: World) -> None:
    waiting = asyncio.create_task(world.call("POST", PODS, pod()))
    await world.create(ACCOUNTS, {"metadata": {"name": "default"}})
    code, _ = await waiting
    assert code == 201


async def test_an_account_that_does_not_come_is_named(world: World) -> None:
    waiting = asyncio.create_task(world.refusal("POST", PODS, pod(serviceAccountName="robot")))
    while not world.clock.sleepers:
        await asyncio.sleep(0)
    await world.clock.advance(11)
    assert await waiting == (
        403, "Forbidden",
        'pods "p" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found',
    )  # fmt: skip


async def test_a_binding_puts_a_pod_on_a_node_once(world: World, account: dict[str, Any]) -> None:
    await world.create(PODS, pod())
    code, status = await bind(world)
    assert (code, status["status"]) == (201, "Success")
    placed = await world.get(f"{PODS}/p")
    assert placed["spec"]["nodeName"] == "n"
    assert [(c["type"], c["status"]) for c in placed["status"]["conditions"]] == [("PodScheduled", "True")]
    code, status = await bind(world, node="other")
    assert (code, status["message"]) == (
        409, 'Operation cannot be fulfilled on pods "p": pod p is already assigned to node "n"',
    )  # fmt: skip


async def test_a_pod_that_nothing_runs_goes_at_once(world: World, account: dict[str, Any]) -> None:
    await world.create(PODS, pod())
    code, gone = await world.call("DELETE", f"{PODS}/p")
    assert (code, gone["kind"]) == (200, "Pod")
    assert (await world.refusal("GET", f"{PODS}/p"))[0] == 404


async def test_a_running_pod_terminates_and_its_agent_ends_it(world: World, account: dict[str, Any]) -> None:
    await world.create(PODS, pod())
    await bind(world)
    _, ending = await world.call("DELETE", f"{PODS}/p")
    metadata = ending["metadata"]
    assert (metadata["deletionGracePeriodSeconds"], metadata["deletionTimestamp"]) == (30, "2026-01-01T00:00:30Z")
    revision = (await world.get(f"{PODS}/p"))["metadata"]["resourceVersion"]
    await world.call("DELETE", f"{PODS}/p")
    assert (await world.get(f"{PODS}/p"))["metadata"]["resourceVersion"] == revision
    await world.call("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    assert (await world.refusal("GET", f"{PODS}/p"))[0] == 404


async def test_a_grace_period_may_only_become_shorter(world: World, account: dict[str, Any]) -> None:
    await world.create(PODS, pod())
    await bind(world)
    for asked, kept in ((20, 20), (60, 20), (5, 5)):
        _, ending = await world.call("DELETE", f"{PODS}/p?gracePeriodSeconds={asked}")
        assert ending["metadata"]["deletionGracePeriodSeconds"] == kept


async def test_finalizers_hold_a_pod_past_its_grace(world: World, account: dict[str, Any]) -> None:
    held = pod()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await world.create(PODS, held)
    await world.call("DELETE", f"{PODS}/p")
    assert (await world.get(f"{PODS}/p"))["metadata"]["deletionGracePeriodSeconds"] == 0
    await world.call("PATCH", f"{PODS}/p", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert (await world.refusal("GET", f"{PODS}/p"))[0] == 404


async def test_an_eviction_deletes(world: World, account: dict[str, Any]) -> None:
    await world.create(PODS, pod())
    code, status = await world.call("POST", f"{PODS}/p/eviction", {"metadata": {"name": "p"}})
    assert (code, status["status"]) == (201, "Success")
    assert (await world.refusal("GET", f"{PODS}/p"))[0] == 404


async def test_a_log_of_a_pod_without_a_node_is_empty_and_a_session_is_refused(
    world: World, account: dict[str, Any]
) -> None:
    await world.create(PODS, pod())
    reply: Any = await world.reply("GET", f"{PODS}/p/log")
    assert (reply.status, reply.body) == (200, b"")
    code, _, message = await world.refusal("GET", f"{PODS}/p/exec?command=sh")
    assert (code, message) == (400, "pod p does not have a host assigned")
