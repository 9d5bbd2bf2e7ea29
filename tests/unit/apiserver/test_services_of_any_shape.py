"""Whatever a client sends as a Service is stored or refused; it is never the server's fault, and nothing leaks."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.api.documents import documents
from tests.unit.apiserver.world import World

from kubesvc.apiserver.repair import plan_repair, read_allocations

SERVICES = "/api/v1/namespaces/default/services"

_types = st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "Other", ""])
_ips = st.sampled_from(["10.96.0.9", "10.96.1.9", "None", "", "nonsense", "10.96.0.300", "fd00::1", "::ffff:10.96.0.9"])
_node_ports = st.sampled_from([0, 30000, 30001, 32767, 80, -1])
_ports = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["a", "b", ""]),
            "port": st.sampled_from([53, 80, 0, 70000]),
            "protocol": st.sampled_from(["TCP", "UDP", "X"]),
            "nodePort": _node_ports,
        },
    ),
    max_size=3,
)
_specs = st.fixed_dictionaries(
    {},
    optional={
        "type": _types,
        "ports": _ports,
        "clusterIP": _ips,
        "clusterIPs": st.lists(_ips, max_size=3),
        "ipFamilies": st.lists(st.sampled_from(["IPv4", "IPv6", "IPv5"]), max_size=3),
        "ipFamilyPolicy": st.sampled_from(["SingleStack", "PreferDualStack", "RequireDualStack", "No"]),
        "externalTrafficPolicy": st.sampled_from(["Local", "Cluster", "Other"]),
        "healthCheckNodePort": _node_ports,
        "allocateLoadBalancerNodePorts": st.booleans(),
        "externalName": st.sampled_from(["example.com", "-", ""]),
        "selector": st.just({"a": "b"}),
    },
)
_quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_nothing_leaks(world: World) -> None:
    assert not plan_repair(read_allocations(world.backend), now=world.clock.now(), new_uid=lambda: "u")


@_quick
@given(documents("core.v1.Service"))
async def test_any_document_of_the_right_types(world: World, document: dict[str, Any]) -> None:
    document.setdefault("metadata", {})["name"] = "x"
    code, answer = await world.call("POST", SERVICES, document)
    assert code in (201, 400, 422), answer
    await world.call("PUT", f"{SERVICES}/x/status", document)
    await world.call("DELETE", f"{SERVICES}/x")
    assert_nothing_leaks(world)


@_quick
@given(_specs, st.lists(_specs, max_size=3))
async def test_any_sequence_of_specs(world: World, first: dict[str, Any], later: list[dict[str, Any]]) -> None:
    code, answer = await world.call("POST", SERVICES, {"metadata": {"name": "x"}, "spec": first})
    assert code in (201, 400, 422), answer
    for spec in later:
        code, answer = await world.call("PUT", f"{SERVICES}/x", {"metadata": {"name": "x"}, "spec": spec})
        assert code in (200, 201, 400, 422), answer
        code, answer = await world.call(
            "PATCH", f"{SERVICES}/x", {"spec": spec}, content_type="application/merge-patch+json"
        )
        assert code in (200, 400, 404, 422), answer
        assert_nothing_leaks(world)
    await world.call("DELETE", f"{SERVICES}/x")
    assert_nothing_leaks(world)
