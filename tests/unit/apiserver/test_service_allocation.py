"""What a Service gets from the cluster, and gives back."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.apiserver.world import World, make_options, open_world

SERVICES = "/api/v1/namespaces/default/services"
MERGE = "application/merge-patch+json"


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def addresses(world: World) -> set[str]:
    return {record.key.rpartition("/")[2] for record in world.backend.list("ipaddresses.networking.k8s.io/").records}


def node_ports(world: World) -> set[int]:
    return {int(record.key.rpartition("/")[2]) for record in world.backend.list("nodeports/").records}


async def patch(world: World, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    code, document = await world.call("PATCH", f"{SERVICES}/{name}", {"spec": spec}, content_type=MERGE)
    assert code == 200, document
    return document


async def test_a_service_gets_an_address_of_the_dynamic_band_and_its_address_object(world: World) -> None:
    made = await world.create(SERVICES, service())
    spec = made["spec"]
    assert (spec["clusterIPs"], spec["ipFamilies"], spec["ipFamilyPolicy"]) == (
        [spec["clusterIP"]], ["IPv4"], "SingleStack",
    )  # fmt: skip
    found = await world.get(f"/apis/networking.k8s.io/v1/ipaddresses/{spec['clusterIP']}")
    assert found["spec"]["parentRef"] == {"group": "", "resource": "services", "namespace": "default", "name": "web"}
    assert found["metadata"]["labels"]["ipaddress.kubernetes.io/managed-by"] == "ipallocator.k8s.io"
    low = [int(part) for part in spec["clusterIP"].split(".")]
    assert low[2] * 256 + low[3] > 256


async def test_a_deleted_service_takes_its_allocations_and_endpoints_along(world: World) -> None:
    made = await world.create(SERVICES, service(type="NodePort"))
    await world.create("/api/v1/namespaces/default/endpoints", {"metadata": {"name": "web"}})
    code, deleted = await world.call("DELETE", f"{SERVICES}/web")
    assert (code, deleted["kind"], deleted["metadata"]["uid"]) == (200, "Service", made["metadata"]["uid"])
    assert addresses(world) == {"10.96.0.1"}
    assert node_ports(world) == set()
    assert (await world.refusal("GET", "/api/v1/namespaces/default/endpoints/web"))[0] == 404


async def test_an_address_is_given_once(world: World) -> None:
    await world.create(SERVICES, service(clusterIP="10.96.7.7"))
    code, reason, message = await world.refusal("POST", SERVICES, service("other", clusterIP="10.96.7.7"))
    assert (code, reason) == (422, "Invalid")
    assert message == (
        'Service "other" is invalid: spec.clusterIPs: Invalid value: ["10.96.7.7"]: '
        "failed to allocate IP 10.96.7.7: provided IP is already allocated"
    )
    assert (await world.refusal("GET", f"{SERVICES}/other"))[0] == 404


@pytest.mark.parametrize("address", ["10.97.0.1", "10.96.0.0", "10.96.255.255"])
async def test_an_address_outside_the_range_is_refused(world: World, address: str) -> None:
    _, _, message = await world.refusal("POST", SERVICES, service(clusterIP=address))
    assert message.endswith(f"failed to allocate IP {address}: the provided network does not match the current range")


async def test_a_full_range_is_an_internal_error(tmp_path: Path) -> None:
    world = await open_world(make_options(tmp_path, service_cidr="10.96.0.0/29"))
    for n in range(5):
        await world.create(SERVICES, service(f"s{n}"))
    code, _, message = await world.refusal("POST", SERVICES, service("more"))
    assert (code, message) == (500, "Internal error occurred: failed to allocate a serviceIP: range is full")
    assert addresses(world) == {f"10.96.0.{n}" for n in range(1, 7)}
    await world.backend.close()


async def test_headless_and_external_name_services_take_no_address(world: World) -> None:
    headless = await world.create(SERVICES, service("headless", clusterIP="None", selector={"a": "b"}))
    named = await world.create(
        SERVICES, {"metadata": {"name": "n"}, "spec": {"type": "ExternalName", "externalName": "a.b"}}
    )
    assert (headless["spec"]["clusterIPs"], headless["spec"]["ipFamilies"]) == (["None"], ["IPv4"])
    assert "clusterIP" not in named["spec"]
    assert addresses(world) == {"10.96.0.1"}


async def test_a_headless_service_without_a_selector_speaks_both_families(world: World) -> None:
    made = await world.create(SERVICES, service(clusterIP="None"))
    assert (made["spec"]["ipFamilyPolicy"], made["spec"]["ipFamilies"]) == ("RequireDualStack", ["IPv4", "IPv6"])


async def test_dual_stack_depends_on_the_cluster(world: World) -> None:
    _, _, message = await world.refusal("POST", SERVICES, service(ipFamilyPolicy="RequireDualStack"))
    assert 'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured' in message
    _, _, message = await world.refusal("POST", SERVICES, service(ipFamilies=["IPv6"]))
    assert message.endswith('spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster')
    made = await world.create(SERVICES, service(ipFamilyPolicy="PreferDualStack"))
    assert made["spec"]["ipFamilies"] == ["IPv4"]


async def test_two_ranges_give_two_addresses(tmp_path: Path) -> None:
    world = await open_world(make_options(tmp_path, service_cidr="10.96.0.0/16,fd00:96::/108"))
    made = await world.create(SERVICES, service(ipFamilyPolicy="PreferDualStack"))
    first, second = made["spec"]["clusterIPs"]
    assert (made["spec"]["ipFamilies"], ":" in first, ":" in second) == (["IPv4", "IPv6"], False, True)
    single = await patch(world, "web", {"ipFamilyPolicy": "SingleStack"})
    assert single["spec"]["clusterIPs"] == [first]
    assert second not in addresses(world)
    await world.backend.close()


async def test_node_ports_are_picked_above_the_static_band(world: World) -> None:
    made = await world.create(SERVICES, service(type="NodePort"))
    port = made["spec"]["ports"][0]["nodePort"]
    assert 30086 <= port <= 32767
    assert node_ports(world) == {port}


async def test_a_node_port_is_given_once_and_only_from_the_range(world: World) -> None:
    wanted = [{"port": 80, "nodePort": 30480}]
    await world.create(SERVICES, service(type="NodePort", ports=wanted))
    code, _, message = await world.refusal("POST", SERVICES, service("other", type="NodePort", ports=wanted))
    assert code == 422
    assert message.endswith("spec.ports[0].nodePort: Invalid value: 30480: provided port is already allocated")
    outside = [{"port": 80, "nodePort": 80}]
    _, _, message = await world.refusal("POST", SERVICES, service("other", type="NodePort", ports=outside))
    assert message.endswith("provided port is not in the valid range. The range of valid ports is 30000-32767")


async def test_protocols_of_one_port_share_a_node_port_on_create(world: World) -> None:
    ports = [{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"}]
    made = await world.create(SERVICES, service(type="NodePort", ports=ports))
    assert len({port["nodePort"] for port in made["spec"]["ports"]}) == 1
    assert len(node_ports(world)) == 1


async def test_changing_the_type_takes_and_gives_node_ports(world: World) -> None:
    first = await world.create(SERVICES, service())
    wider = await patch(world, "web", {"type": "NodePort"})
    assert node_ports(world) == {wider["spec"]["ports"][0]["nodePort"]}
    balanced = await patch(world, "web", {"type": "LoadBalancer", "externalTrafficPolicy": "Local"})
    assert node_ports(world) == {wider["spec"]["ports"][0]["nodePort"], balanced["spec"]["healthCheckNodePort"]}
    narrow = await patch(world, "web", {"type": "ClusterIP"})
    assert node_ports(world) == set()
    assert "nodePort" not in narrow["spec"]["ports"][0]
    assert narrow["spec"]["clusterIP"] == first["spec"]["clusterIP"]


async def test_becoming_external_name_gives_the_address_back(world: World) -> None:
    await world.create(SERVICES, service())
    named = await patch(world, "web", {"type": "ExternalName", "externalName": "example.com"})
    assert "clusterIP" not in named["spec"]
    assert addresses(world) == {"10.96.0.1"}
    again = await patch(world, "web", {"type": "ClusterIP", "externalName": None})
    assert again["spec"]["clusterIP"] in addresses(world)


async def test_a_put_that_leaves_allocations_out_keeps_them(world: World) -> None:
    made = await world.create(SERVICES, service(type="NodePort"))
    code, again = await world.call("PUT", f"{SERVICES}/web", service(type="NodePort"))
    assert (code, again["spec"]) == (200, made["spec"])


async def test_an_address_may_not_change(world: World) -> None:
    await world.create(SERVICES, service())
    body = {"spec": {"clusterIP": "10.96.9.9"}}
    code, _, message = await world.refusal("PATCH", f"{SERVICES}/web", body, content_type=MERGE)
    assert code == 422
    assert "may not change once set" in message
    assert "10.96.9.9" not in addresses(world)


async def test_what_an_invalid_service_would_have_got_stays_free(world: World) -> None:
    before = addresses(world), node_ports(world)
    code, _, _ = await world.refusal("POST", SERVICES, service(type="NodePort", sessionAffinity="Sometimes"))
    assert code == 422
    assert (addresses(world), node_ports(world)) == before


async def test_allocations_survive_a_restart(tmp_path: Path) -> None:
    options = make_options(tmp_path)
    world = await open_world(options)
    await world.create(SERVICES, service(clusterIP="10.96.7.7"))
    await world.backend.close()
    again = await open_world(options)
    code, _, _ = await again.refusal("POST", SERVICES, service("other", clusterIP="10.96.7.7"))
    assert code == 422
    await again.backend.close()
