"""Which UDP flows are forgotten when a port changes (behaviour row 31, and the holes it names)."""

from typing import Any

from tests.unit.proxy.proxy_engines import Place, plans_of, tracker_of

from kubesvc.proxy.conntrack import FlowFilter, all_flows, stale_flows
from kubesvc.proxy.model import PortPlan, Target
from kubesvc.testing.builders import endpoint_slice, service

VIP, NODE = Target("10.96.0.9", 53), "192.0.2.1"
OLD, NEW = Target("10.1.2.3", 53), Target("10.1.2.4", 53)


def plan(*endpoints: str, protocol: str = "UDP", **spec: Any) -> PortPlan:
    documents = (
        service("dns", port=53, protocol=protocol, cluster_ip=VIP.ip, **spec),
        endpoint_slice("dns", *endpoints, port=53, protocol=protocol),
    )
    (found,) = plans_of(tracker_of(Place(), documents)).values()
    return found


def is_stale(old: PortPlan | None, new: PortPlan | None, destination: Target, reply_source: Target) -> bool:
    stale = stale_flows(old, new)
    flows = FlowFilter()
    if stale:
        flows.add(stale)
    return flows.is_stale(destination, reply_source, {NODE})


def test_flows_of_a_removed_endpoint_are_stale_and_others_are_not() -> None:
    before, after = plan("10.1.2.3@b", "10.1.2.4@b"), plan("10.1.2.4@b")

    assert is_stale(before, after, VIP, OLD)
    assert not is_stale(before, after, VIP, NEW)
    assert not is_stale(before, after, Target("10.96.0.8", 53), OLD)


def test_a_terminating_endpoint_that_serves_keeps_its_flows() -> None:
    assert not is_stale(plan("10.1.2.3@b"), plan("10.1.2.3@b!terminating", "10.1.2.4@b"), VIP, OLD)
    assert is_stale(plan("10.1.2.3@b"), plan("10.1.2.3@b!gone", "10.1.2.4@b"), VIP, OLD)


def test_a_service_that_lost_all_endpoints_keeps_no_flow() -> None:
    assert is_stale(plan("10.1.2.3@b"), plan(), VIP, OLD)


def test_a_deleted_service_keeps_no_flow() -> None:
    assert is_stale(plan("10.1.2.3@b"), None, VIP, OLD)


def test_node_ports_count_on_the_nodes_own_addresses_only() -> None:
    before, after = plan("10.1.2.3@b", node_port=30053), plan("10.1.2.4@b", node_port=30053)

    assert is_stale(before, after, Target(NODE, 30053), OLD)
    assert not is_stale(before, after, Target("198.51.100.1", 30053), OLD)


def test_a_flow_that_began_before_its_node_port_existed_is_stale() -> None:
    assert is_stale(plan("10.1.2.3@b"), plan("10.1.2.3@b", node_port=30053), Target(NODE, 30053), Target(NODE, 30053))


def test_more_endpoints_make_nothing_stale() -> None:
    assert stale_flows(plan("10.1.2.3@b"), plan("10.1.2.3@b", "10.1.2.4@b")) is None


def test_tcp_flows_are_never_touched() -> None:
    assert stale_flows(plan("10.1.2.3@b", protocol="TCP"), None) is None
    assert all_flows(plan("10.1.2.3@b", protocol="TCP")) is None


def test_after_a_start_every_udp_port_is_checked() -> None:
    stale = all_flows(plan("10.1.2.4@b"))
    assert stale is not None
    flows = FlowFilter()
    flows.add(stale)

    assert flows.is_stale(VIP, OLD, ())
    assert not flows.is_stale(VIP, NEW, ())
