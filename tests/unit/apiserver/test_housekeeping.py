"""What the server keeps right on its own."""

from typing import Any

import pytest
from tests.unit.apiserver.world import World

from kubesvc.apiserver.housekeeping import Housekeeping
from kubesvc.store.types import Write

SERVICES = "/api/v1/namespaces/default/services"
ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
SLICE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"


def housekeeping(world: World) -> Housekeeping:
    return Housekeeping(world.backend, world.bootstrap, world.clock, event_ttl=3600)


async def drop(world: World, key: str) -> None:
    record = world.backend.get(key)
    assert record
    await world.backend.commit([Write(key, None, record.revision)])


async def test_the_first_objects_are_there(world: World) -> None:
    namespaces = await world.get("/api/v1/namespaces")
    assert [item["metadata"]["name"] for item in namespaces["items"]] == [
        "default", "kube-node-lease", "kube-public", "kube-system",
    ]  # fmt: skip
    service = await world.get(f"{SERVICES}/kubernetes")
    assert (service["spec"]["clusterIP"], service["metadata"]["labels"]) == (
        "10.96.0.1", {"component": "apiserver", "provider": "kubernetes"},
    )  # fmt: skip
    endpoints, found = await world.get(ENDPOINTS), await world.get(SLICE)
    assert endpoints["subsets"][0]["addresses"] == [{"ip": "192.0.2.1"}]
    assert found["endpoints"][0]["addresses"] == ["192.0.2.1"]
    cidr = await world.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes")
    assert (cidr["spec"]["cidrs"], cidr["status"]["conditions"][0]["status"]) == (["10.96.0.0/16"], "True")


async def test_another_round_changes_nothing(world: World) -> None:
    revision = world.backend.revision
    await housekeeping(world).run_once()
    assert world.backend.revision == revision


async def test_the_servers_own_endpoints_are_put_right(world: World) -> None:
    body = {"metadata": {"name": "kubernetes", "labels": {"mine": "too"}}, "subsets": []}
    await world.call("PUT", ENDPOINTS, body)
    await world.call("DELETE", SLICE)
    await housekeeping(world).run_once()
    endpoints = await world.get(ENDPOINTS)
    assert endpoints["subsets"][0]["addresses"] == [{"ip": "192.0.2.1"}]
    assert endpoints["metadata"]["labels"]["mine"] == "too"
    assert (await world.get(SLICE))["endpoints"]


async def test_lost_allocations_are_recorded_again(world: World) -> None:
    spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30480}], "clusterIP": "10.96.7.7"}
    await world.create(SERVICES, {"metadata": {"name": "web"}, "spec": spec})
    await drop(world, "ipaddresses.networking.k8s.io/10.96.7.7")
    await drop(world, "nodeports/30480")
    await housekeeping(world).run_once()
    found = await world.get("/apis/networking.k8s.io/v1/ipaddresses/10.96.7.7")
    assert found["spec"]["parentRef"]["name"] == "web"
    assert world.backend.get("nodeports/30480")


async def test_leaked_allocations_are_given_back(world: World) -> None:
    await world.create(SERVICES, {"metadata": {"name": "web"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}})
    await drop(world, "services/default/web")
    await housekeeping(world).run_once()
    assert not world.backend.list("nodeports/").records
    assert len(world.backend.list("ipaddresses.networking.k8s.io/").records) == 2
    await world.clock.advance(61)
    await housekeeping(world).run_once()
    assert len(world.backend.list("ipaddresses.networking.k8s.io/").records) == 1


async def test_addresses_that_others_manage_stay(world: World) -> None:
    parent = {"group": "example.com", "resource": "gateways", "namespace": "default", "name": "g"}
    body: dict[str, Any] = {"metadata": {"name": "10.96.9.9"}, "spec": {"parentRef": parent}}
    await world.create("/apis/networking.k8s.io/v1/ipaddresses", body)
    await world.clock.advance(61)
    await housekeeping(world).run_once()
    assert world.backend.get("ipaddresses.networking.k8s.io/10.96.9.9")


async def test_events_are_forgotten_an_hour_after_they_were_last_seen(world: World) -> None:
    url = "/api/v1/namespaces/default/events"
    involved = {"kind": "Pod", "namespace": "default", "name": "p"}
    await world.create(url, {"metadata": {"name": "old"}, "involvedObject": involved})
    seen = {"metadata": {"name": "seen"}, "involvedObject": involved, "lastTimestamp": "2026-01-01T00:30:00Z"}
    await world.create(url, seen)
    await world.clock.advance(3601)
    await housekeeping(world).run_once()
    assert [item["metadata"]["name"] for item in (await world.get(url))["items"]] == ["seen"]


async def test_an_event_whose_time_cannot_be_read_keeps_nobody_from_going_on(world: World) -> None:
    """As an earlier version, or another writer of the store, may have left one."""
    event = b'{"kind":"Event","apiVersion":"v1","metadata":{"name":"x","creationTimestamp":"2020-01-01T00:00:00Z"},'
    await world.backend.commit([Write("events/default/x", event + b'"lastTimestamp":"2026-13-01T00:00:00Z"}')])
    await housekeeping(world).run_once()
    assert world.backend.get("events/default/x") is None


@pytest.mark.parametrize("text", ["2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+01:00"])
async def test_a_time_that_never_was_is_refused(world: World, text: str) -> None:
    event = {"metadata": {"name": "x"}, "involvedObject": {"namespace": "default"}, "lastTimestamp": text}
    code, reason, message = await world.refusal("POST", "/api/v1/namespaces/default/events", event)
    assert (code, reason) == (400, "BadRequest")
    assert "Event.lastTimestamp: parsing time" in message
