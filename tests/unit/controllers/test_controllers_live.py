"""All controllers together over the in-memory API: what a user would see."""

from typing import Any

import pytest

from kubesvc.api.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SERVICEACCOUNTS,
    SERVICES,
)
from kubesvc.api.status import Cause, Forbidden, Invalid, ServiceUnavailable
from kubesvc.testing import builders


def deployment(name: str = "web", replicas: int = 3, version: str = "1", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "c", "image": f"x:{version}", "ports": [{"name": "http", "containerPort": 5000}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
        }
        | spec,
    }


def is_rolled_out(world: Any, name: str = "web") -> bool:
    found = world.get(DEPLOYMENTS, name)
    wanted, status = found["spec"]["replicas"], found.get("status") or {}
    counts = [status.get(field) or 0 for field in ("updatedReplicas", "replicas", "availableReplicas")]
    return counts == [wanted] * 3 and status["observedGeneration"] >= found["metadata"]["generation"]


def endpoint_addresses(world: Any, service: str) -> list[str]:
    slices = (
        found
        for found in world.api.documents(ENDPOINTSLICES)
        if found["metadata"]["labels"]["kubernetes.io/service-name"] == service
    )
    return sorted(endpoint["addresses"][0] for found in slices for endpoint in found["endpoints"])


def pod_addresses(world: Any) -> list[str]:
    return sorted(pod["status"]["podIP"] for pod in world.api.documents(PODS))


def events(world: Any) -> set[str]:
    return {event["reason"] for event in world.api.documents(EVENTS)}


async def test_a_deployment_becomes_running_pods_behind_its_service(world: Any) -> None:
    world.api.put(builders.service("web", port=3000, target_port="http"))
    world.api.put(deployment())
    await world.until(lambda: is_rolled_out(world))
    await world.until(lambda: endpoint_addresses(world, "web") == pod_addresses(world))
    [subset] = world.get(ENDPOINTS, "web")["subsets"]
    assert len(subset["addresses"]) == 3
    assert {pod["spec"]["nodeName"] for pod in world.api.documents(PODS)} == {"n1", "n2"}
    await world.until(lambda: {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled"} <= events(world))


async def test_a_burst_of_changes_never_makes_a_pod_too_many(world: Any) -> None:
    world.api.put(deployment(replicas=20))
    await world.until(lambda: is_rolled_out(world))
    assert world.requests("POST", "/pods") == 20
    assert world.requests("POST", "/replicasets") == 1


async def test_a_service_has_one_slice_however_fast_its_pods_come(world: Any) -> None:
    world.api.put(builders.service("web"))
    world.api.put(deployment(replicas=20))
    await world.until(lambda: len(endpoint_addresses(world, "web")) == 20)
    await world.quiet()
    assert len(world.names(ENDPOINTSLICES)) == 1
    assert world.requests("POST", "/endpointslices") == 1


async def test_when_nothing_changes_nothing_is_written(world: Any) -> None:
    world.api.put(builders.service("web"))
    world.api.put(deployment())
    await world.until(lambda: is_rolled_out(world))
    await world.quiet()
    before = len(world.api.calls)
    pod = world.api.documents(PODS)[0]
    pod["metadata"].setdefault("annotations", {})["touched"] = "yes"
    world.api.put(pod)
    await world.quiet()
    assert len(world.api.calls) == before


async def test_a_killed_pod_leaves_at_once_and_its_replacement_joins(world: Any) -> None:
    world.api.put(builders.service("web"))
    world.api.put(deployment())
    await world.until(lambda: len(endpoint_addresses(world, "web")) == 3)
    victim = world.api.documents(PODS)[0]
    gone = victim["status"]["podIP"]
    world.api.remove(PODS, victim["metadata"]["name"], "default")
    await world.until(lambda: gone not in endpoint_addresses(world, "web"))
    await world.until(lambda: len(endpoint_addresses(world, "web")) == 3)


async def test_relabelling_moves_a_pod_out_of_its_service_and_in_again(world: Any) -> None:
    world.api.put(builders.service("web", selector={"zone": "prod", "version": "v1"}))
    both = {"zone": "prod", "version": "v1", "more": "x"}
    world.api.put(builders.pod("a", ip="10.244.0.9", node="n1", labels=both))
    world.api.put(builders.pod("b", ip="10.244.0.8", node="n1", labels={"zone": "prod"}))
    await world.until(lambda: endpoint_addresses(world, "web") == ["10.244.0.9"])
    world.api.put(world.get(PODS, "a") | {"metadata": world.get(PODS, "a")["metadata"] | {"labels": {"zone": "prod"}}})
    await world.until(lambda: endpoint_addresses(world, "web") == [])
    world.api.put(world.get(PODS, "b") | {"metadata": world.get(PODS, "b")["metadata"] | {"labels": both}})
    await world.until(lambda: endpoint_addresses(world, "web") == ["10.244.0.8"])


async def test_a_rollout_replaces_all_pods_and_keeps_the_old_set(world: Any) -> None:
    world.api.put(deployment())
    await world.until(lambda: is_rolled_out(world))
    first = set(world.names(PODS))
    world.api.put(world.get(DEPLOYMENTS, "web") | {"spec": deployment(version="2")["spec"]})
    await world.until(lambda: is_rolled_out(world))
    await world.until(lambda: not first & set(world.names(PODS)))
    assert sorted(found["spec"]["replicas"] for found in world.api.documents(REPLICASETS)) == [0, 3]
    assert world.get(DEPLOYMENTS, "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


async def test_deleting_a_deployment_collects_everything_below_it(world: Any) -> None:
    world.api.put(deployment())
    await world.until(lambda: is_rolled_out(world))
    await world.client.delete(DEPLOYMENTS, "web", namespace="default")
    await world.until(lambda: not world.names(REPLICASETS) and not world.names(PODS))


async def test_deleting_a_service_collects_its_slices_and_endpoints(world: Any) -> None:
    world.api.put(builders.service("web"))
    await world.until(lambda: world.names(ENDPOINTSLICES) and world.names(ENDPOINTS))
    await world.client.delete(SERVICES, "web", namespace="default")
    await world.until(lambda: not world.names(ENDPOINTSLICES) and not world.names(ENDPOINTS))


async def test_an_owner_the_cache_does_not_know_is_asked_for_before_anything_is_deleted(world: Any) -> None:
    owner = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "uid": "uid-w"}}
    world.api.put(builders.pod("of-a-widget", owner=owner))
    gone = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "gone", "uid": "uid-gone"}}
    world.api.put(builders.pod("of-nobody", owner=gone))
    await world.until(lambda: "of-nobody" not in world.names(PODS))
    await world.quiet()
    assert world.names(PODS) == ["of-a-widget"]


async def test_addresses_of_the_pool_are_given_taken_back_and_given_again(world: Any) -> None:
    def ingress(name: str) -> str:
        entries = world.get(SERVICES, name)["status"].get("loadBalancer", {}).get("ingress") or [{"ip": ""}]
        return str(entries[0]["ip"])

    for name in ("one", "two", "three"):
        world.api.put(builders.service(name, type="LoadBalancer"))
        await world.quiet()
    assert [ingress("one"), ingress("two"), ingress("three")] == ["192.0.2.1", "192.0.2.2", ""]
    await world.until(lambda: "SyncLoadBalancerFailed" in events(world))
    await world.client.delete(SERVICES, "one", namespace="default")
    await world.until(lambda: ingress("three") == "192.0.2.1")
    assert "one" not in world.names(SERVICES)


async def test_without_a_pool_a_load_balancer_stays_pending(make_world: Any) -> None:
    async with make_world(pool="") as world:
        world.api.put(builders.service("web", type="LoadBalancer"))
        await world.until(lambda: world.names(ENDPOINTSLICES))
        await world.quiet()
        found = world.get(SERVICES, "web")
        assert found["status"] == {"loadBalancer": {}}
        assert "finalizers" not in found["metadata"]


async def test_namespaces_have_an_account_and_the_ca_from_the_start(world: Any) -> None:
    world.api.put(builders.namespace("my-ns"))
    await world.until(lambda: world.names(SERVICEACCOUNTS, "my-ns") == ["default"])
    await world.until(lambda: world.names(CONFIGMAPS, "my-ns") == ["kube-root-ca.crt"])
    world.api.remove(CONFIGMAPS, "kube-root-ca.crt", "my-ns")
    await world.until(lambda: world.names(CONFIGMAPS, "my-ns") == ["kube-root-ca.crt"])


async def test_a_terminating_namespace_is_emptied_and_let_go(world: Any) -> None:
    world.api.put(builders.namespace("my-ns"))
    pod = builders.pod("p", namespace="my-ns", ip="10.244.0.7", node="n1")
    world.api.put(pod)
    world.api.put(builders.service("web", namespace="my-ns", type="LoadBalancer"))
    await world.until(lambda: world.names(ENDPOINTSLICES, "my-ns"))
    world.api.put(builders.namespace("my-ns", deleting=True))
    await world.until(lambda: world.get(NAMESPACES, "my-ns", "")["spec"].get("finalizers") == [])
    for resource in (PODS, SERVICES, ENDPOINTS, ENDPOINTSLICES, CONFIGMAPS, SERVICEACCOUNTS):
        assert world.names(resource, "my-ns") == []


async def test_nodes_get_a_pod_address_range(world: Any) -> None:
    await world.until(lambda: all(node["spec"].get("podCIDR") for node in world.api.documents(NODES)))
    assert {node["spec"]["podCIDR"] for node in world.api.documents(NODES)} == {"10.244.0.0/24", "10.244.1.0/24"}


async def test_a_pod_that_fits_nowhere_is_scheduled_when_a_node_comes(world: Any) -> None:
    world.api.put(builders.pod("picky", nodeSelector={"disk": "ssd"}))
    await world.until(lambda: "FailedScheduling" in events(world))
    world.api.put(builders.node("n3", labels={"disk": "ssd"}))
    await world.until(lambda: world.get(PODS, "picky")["spec"].get("nodeName") == "n3")


async def test_a_node_that_is_not_ready_takes_its_pods_out_of_their_services(world: Any) -> None:
    world.api.put(builders.service("web"))
    world.api.put(builders.pod("a", ip="10.244.0.9", node="n1", labels={"app": "web"}))

    def ready() -> bool | None:
        slices = world.api.documents(ENDPOINTSLICES)
        return next((bool(e["conditions"]["ready"]) for s in slices for e in s["endpoints"]), None)

    await world.until(ready)
    world.api.put(builders.node("n1", zone="a", ready=False))
    await world.until(lambda: ready() is False)
    taints = {taint["key"] for taint in world.get(NODES, "n1", "")["spec"]["taints"]}
    assert taints == {"node.kubernetes.io/not-ready"}


async def test_refused_pods_are_told_and_tried_again(world: Any) -> None:
    refusal = Forbidden("exceeded quota: small")
    world.api.refuse(lambda call: call.method == "POST" and call.path.endswith("/pods"), refusal)
    world.api.put(deployment(replicas=2))
    await world.until(lambda: is_rolled_out(world))
    await world.until(lambda: "FailedCreate" in events(world))
    [failed] = [event for event in world.api.documents(EVENTS) if event["reason"] == "FailedCreate"]
    assert failed["message"] == "Error creating: exceeded quota: small"
    [owner] = world.api.documents(REPLICASETS)
    assert not [c for c in owner["status"].get("conditions") or () if c["type"] == "ReplicaFailure"]


async def test_creation_in_a_namespace_on_its_way_out_is_given_up(world: Any) -> None:
    cause = Cause("NamespaceTerminating", "metadata.namespace", "namespace default is being terminated")
    refusal = Forbidden("unable to create new content", causes=(cause,))
    world.api.refuse(lambda call: call.path.endswith("/endpointslices") and call.method == "POST", refusal)
    world.api.put(builders.service("web"))
    await world.until(lambda: world.names(ENDPOINTS))
    await world.quiet()
    assert world.names(ENDPOINTSLICES) == []


async def test_trouble_with_one_object_is_told_on_it_and_spares_the_others(world: Any) -> None:
    refusal = Invalid('EndpointSlice "bad" is invalid')
    world.api.refuse(lambda call: "bad-" in str(call.body) and call.path.endswith("/endpointslices"), refusal)
    world.api.put(builders.service("bad"))
    world.api.put(builders.service("good"))
    await world.until(lambda: len(world.names(ENDPOINTSLICES)) == 2)
    await world.until(lambda: "ReconcileFailed" in events(world))
    [told] = [event for event in world.api.documents(EVENTS) if event["reason"] == "ReconcileFailed"]
    assert told["involvedObject"]["name"] == "bad"


@pytest.mark.parametrize("error", [ServiceUnavailable("later")])
async def test_a_server_that_fails_for_a_while_is_asked_again(world: Any, error: Exception) -> None:
    for _ in range(4):
        world.api.refuse(lambda call: call.method == "POST" and call.path.endswith("/replicasets"), error)
    world.api.put(deployment(replicas=1))
    await world.until(lambda: is_rolled_out(world))


async def test_broken_watches_lose_nothing(world: Any) -> None:
    world.api.put(builders.service("web"))
    world.api.put(deployment(replicas=4))
    await world.until(lambda: world.names(REPLICASETS))
    world.api.break_watches()
    await world.until(lambda: len(endpoint_addresses(world, "web")) == 4)
    assert world.requests("POST", "/pods") == 4
