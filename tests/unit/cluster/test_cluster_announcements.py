"""Over which nodes a load-balancer address is reached."""

from ipaddress import IPv4Network

from kubesvc.api.views import (
    Endpoint,
    EndpointConditions,
    EndpointSlice,
    LoadBalancerIngress,
    LoadBalancerStatus,
    Node,
    NodeAddress,
    NodeCondition,
    NodeStatus,
    ObjectMeta,
    Service,
    ServiceSpec,
    ServiceStatus,
)
from kubesvc.cluster.announcements import Ways, announced_ways

POOL = IPv4Network("10.90.0.0/24")


def node(number: int, *, ready: bool = True, labels: dict[str, str] | None = None) -> Node:
    return Node(
        metadata=ObjectMeta(name=f"node-{number}", labels=labels),
        status=NodeStatus(
            addresses=(NodeAddress("InternalIP", f"10.89.0.1{number}"), NodeAddress("Hostname", f"node-{number}")),
            conditions=(NodeCondition("Ready", "True" if ready else "False"),),
        ),
    )


def balanced(*ips: str, policy: str = "Cluster", kind: str = "LoadBalancer", ip_mode: str | None = None) -> Service:
    ingress = tuple(LoadBalancerIngress(ip=ip, ip_mode=ip_mode) for ip in ips)
    return Service(
        metadata=ObjectMeta(name="web", namespace="default"),
        spec=ServiceSpec(type=kind, external_traffic_policy=policy),
        status=ServiceStatus(LoadBalancerStatus(ingress)),
    )


def slices(*endpoints: tuple[str, str]) -> list[EndpointSlice]:
    """Pairs of node name and state: ready, waiting, draining or ended."""
    conditions = {
        "ready": EndpointConditions(ready=True, serving=True, terminating=False),
        "waiting": EndpointConditions(ready=False, serving=False, terminating=False),
        "draining": EndpointConditions(ready=False, serving=True, terminating=True),
        "ended": EndpointConditions(ready=False, serving=False, terminating=True),
    }
    found = tuple(Endpoint(("10.244.1.2",), conditions[state], node_name=name) for name, state in endpoints)
    meta = ObjectMeta(name="web-x", namespace="default", labels={"kubernetes.io/service-name": "web"})
    return [EndpointSlice(metadata=meta, endpoints=found)]


def ways(service: Service, endpoints: list[EndpointSlice], *nodes: Node) -> Ways:
    return announced_ways([service], endpoints, nodes or (node(1), node(2)), pool=POOL)


def test_policy_cluster_announces_over_every_ready_node_even_without_endpoints() -> None:
    assert ways(balanced("10.90.0.1"), []) == {"10.90.0.1": ("10.89.0.11", "10.89.0.12")}


def test_policy_local_announces_only_over_nodes_with_a_ready_endpoint() -> None:
    found = ways(balanced("10.90.0.1", policy="Local"), slices(("node-2", "ready"), ("node-1", "waiting")))
    assert found == {"10.90.0.1": ("10.89.0.12",)}


def test_policy_local_without_a_ready_endpoint_announces_nothing() -> None:
    assert ways(balanced("10.90.0.1", policy="Local"), slices(("node-1", "waiting"), ("node-2", "ended"))) == {}


def test_policy_local_falls_back_to_endpoints_that_drain() -> None:
    found = ways(balanced("10.90.0.1", policy="Local"), slices(("node-1", "draining")))
    assert found == {"10.90.0.1": ("10.89.0.11",)}


def test_draining_endpoints_do_not_count_beside_ready_ones() -> None:
    found = ways(balanced("10.90.0.1", policy="Local"), slices(("node-1", "draining"), ("node-2", "ready")))
    assert found == {"10.90.0.1": ("10.89.0.12",)}


def test_a_node_that_is_not_ready_is_no_way() -> None:
    assert ways(balanced("10.90.0.1"), [], node(1, ready=False), node(2)) == {"10.90.0.1": ("10.89.0.12",)}


def test_a_node_may_be_excluded_by_its_label() -> None:
    excluded = node(1, labels={"node.kubernetes.io/exclude-from-external-load-balancers": ""})
    assert ways(balanced("10.90.0.1"), [], excluded, node(2)) == {"10.90.0.1": ("10.89.0.12",)}


def test_addresses_outside_of_the_pool_are_somebody_elses() -> None:
    assert ways(balanced("192.0.2.1", "not-an-address", "2001:db8::1"), []) == {}


def test_a_provider_that_proxies_by_itself_is_not_announced() -> None:
    assert ways(balanced("10.90.0.1", ip_mode="Proxy"), []) == {}
    assert ways(balanced("10.90.0.1", ip_mode="VIP"), [])


def test_a_service_that_is_no_load_balancer_any_more_is_not_announced() -> None:
    assert ways(balanced("10.90.0.1", kind="NodePort"), []) == {}
