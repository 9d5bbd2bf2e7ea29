"""Which pod `exec` and `logs` mean by a Deployment or Service, and what they say when there is none."""

import argparse
from typing import Any

import pytest

from kubesvc.api.resources import DEPLOYMENTS, PODS, SERVICES
from kubesvc.api.status import NotFound
from kubesvc.cli.conditions import parse_aim
from kubesvc.cli.exits import Refusal
from kubesvc.cli.pod_choice import best_pod, choose_pod, pod_selector
from kubesvc.cli.pod_logs import not_found
from kubesvc.cli.targets import Target
from kubesvc.cli.wait import _holds
from kubesvc.client.rest import Client
from kubesvc.testing.local import LocalTransport


def pod(name: str, *, ready: bool = True, phase: str = "Running", ending: bool = False) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "shop",
        "labels": {"app": "web"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    if ending:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:01Z"
    conditions = [{"type": "Ready", "status": str(ready)}]
    status = {"phase": phase, "conditions": conditions}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}


def workload(api_version: str, kind: str, selector: dict[str, Any] | None) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "shop"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": {"selector": selector}}


def test_a_ready_pod_that_stays_is_the_best() -> None:
    pods = [pod("a", ready=False), pod("b", ending=True), pod("d"), pod("c"), pod("e", ready=False, phase="Pending")]
    best = best_pod(pods)
    assert best is not None
    assert best["metadata"]["name"] == "c"
    assert best_pod([]) is None


@pytest.mark.parametrize("word", ["deploy/web", "svc/web", "pod/web-2", "po/web-2", "web-2"])
async def test_every_way_to_name_a_pod(word: str) -> None:
    transport = LocalTransport(
        workload("apps/v1", "Deployment", {"matchLabels": {"app": "web"}}),
        workload("v1", "Service", {"app": "web"}),
        pod("web-1", ready=False),
        pod("web-2"),
    )
    async with Client(transport) as client:
        assert await choose_pod(client, word, "shop") == "web-2"


async def test_a_service_whose_pods_are_gone_is_refused() -> None:
    async with Client(LocalTransport(workload("v1", "Service", {"app": "web"}))) as client:
        with pytest.raises(Refusal, match="no pods belong to service/web"):
            await choose_pod(client, "svc/web", "shop")


def test_selectors() -> None:
    terms = [{"key": "zone", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"}]
    document = {"spec": {"selector": {"matchLabels": {"app": "web"}, "matchExpressions": terms}}}
    assert pod_selector(Target(DEPLOYMENTS, "web"), document) == "app=web,zone in (a,b),!old"
    with pytest.raises(Refusal, match="service/web selects no pods"):
        pod_selector(Target(SERVICES, "web"), {"spec": {"type": "ExternalName"}})


def test_a_missing_pod_may_have_been_meant_for_a_component() -> None:
    refusal = not_found(NotFound('pods "proxy" not found'), argparse.Namespace(name="x", what="proxy"))
    assert str(refusal) == 'from server (NotFound): pods "proxy" not found'
    assert refusal.hint == "kubesvc logs --name x lists the components that have a log"
    assert not_found(NotFound(""), argparse.Namespace(name="x", what="pod/proxy")).hint == ""


@pytest.mark.parametrize("text", ["condition=Ready", "jsonpath={.status.phase}=Running", "endpoints=1"])
async def test_waiting_for_a_missing_object_is_refused_at_once(text: str) -> None:
    resource = SERVICES if text.startswith("endpoints") else PODS
    async with Client(LocalTransport()) as client:
        with pytest.raises(NotFound):
            await _holds(client, Target(resource, "web"), "shop", parse_aim(text))
        assert not await _holds(client, Target(resource, "web"), "shop", parse_aim("create"))
        assert await _holds(client, Target(resource, "web"), "shop", parse_aim("delete"))
