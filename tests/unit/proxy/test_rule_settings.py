"""Options and a node -> what the static rules are made from (behaviour rows 19, 24, 25), and sysctls (row 32)."""

from typing import Any

import msgspec
import pytest

from kubesvc.api import views
from kubesvc.proxy.kernel import most_flows
from kubesvc.proxy.model import Family
from kubesvc.proxy.options import LocalDetector, Mode, ProxyOptions
from kubesvc.proxy.rules import RuleSettings, health_hosts, loopback_node_ports, primary_address, rule_settings

ADDRESSES = [
    {"type": "Hostname", "address": "node-a"},
    {"type": "ExternalIP", "address": "203.0.113.1"},
    {"type": "InternalIP", "address": "192.0.2.7"},
    {"type": "InternalIP", "address": "192.0.2.1"},
    {"type": "ExternalIP", "address": "2001:db8::1"},
]
NODE = msgspec.convert(
    {
        "metadata": {"name": "node-a"},
        "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"]},
        "status": {"addresses": ADDRESSES},
    },
    views.Node,
)


def settings(family: Family = Family.IPV4, **options: Any) -> RuleSettings:
    return rule_settings(ProxyOptions(None, "node-a", **options), family, NODE)


def test_a_node_is_known_by_its_first_internal_address() -> None:
    assert [primary_address(NODE, family) for family in Family] == ["192.0.2.7", "2001:db8::1"]
    assert [primary_address(NODE, family, "192.0.2.9") for family in Family] == ["192.0.2.9", "2001:db8::1"]
    assert [primary_address(NODE, family, "::") for family in Family] == ["192.0.2.7", "2001:db8::1"]
    assert primary_address(None, Family.IPV4) == ""


@pytest.mark.parametrize(
    ("mode", "asked", "four", "six"),
    [
        ("nftables", (), ("192.0.2.7",), ("2001:db8::1",)),
        ("iptables", (), None, None),
        ("iptables", ("primary",), ("192.0.2.7",), ("2001:db8::1",)),
        ("nftables", ("all",), None, None),
        ("nftables", ("0.0.0.0/0", "2001:db8::/32"), None, ("2001:db8::/32",)),
        ("nftables", ("192.0.2.0/24",), ("192.0.2.0/24",), None),
        ("nftables", ("primary", "192.0.2.0/24"), ("192.0.2.0/24",), ("2001:db8::1",)),
        ("iptables", ("localhost",), ("127.0.0.0/8",), ("::1",)),
    ],
)
def test_node_ports_answer_where_they_are_asked_to(mode: str, asked: tuple[str, ...], four: Any, six: Any) -> None:
    found = [settings(family, mode=mode, nodeport_addresses=asked).nodeport_addresses for family in Family]

    assert found == [four, six]


@pytest.mark.parametrize(
    ("mode", "asked", "wanted"),
    [
        ("iptables", (), True),
        ("iptables", ("all",), True),
        ("iptables", ("127.0.0.1/32",), True),
        ("iptables", ("localhost", "primary"), True),
        ("iptables", ("0.0.0.0/0",), True),
        ("iptables", ("2001:db8::/32",), True),
        ("iptables", ("primary",), False),
        ("iptables", ("192.0.2.0/24",), False),
        ("nftables", ("localhost",), False),
    ],
)
def test_loopback_is_opened_only_where_node_ports_are_asked_for_there(
    mode: str, asked: tuple[str, ...], wanted: bool
) -> None:
    options = ProxyOptions(None, "node-a", mode=mode, nodeport_addresses=asked)

    assert loopback_node_ports(options) is wanted
    assert rule_settings(options, Family.IPV4, NODE).localhost_nodeports is wanted
    assert not rule_settings(options, Family.IPV6, NODE).localhost_nodeports


def test_loopback_stays_closed_where_it_is_turned_off() -> None:
    assert not loopback_node_ports(ProxyOptions(None, "node-a", mode=Mode.IPTABLES, localhost_nodeports=False))


@pytest.mark.parametrize(
    ("detector", "more", "cidrs", "interface"),
    [
        (LocalDetector.CLUSTER_CIDR, {"cluster_cidr": "10.0.0.0/8,fd00::/8"}, ("10.0.0.0/8",), ""),
        (LocalDetector.CLUSTER_CIDR, {}, (), ""),
        (LocalDetector.NODE_CIDR, {}, ("10.244.1.0/24",), ""),
        (LocalDetector.BRIDGE_INTERFACE, {"pod_bridge": "cni0"}, (), "cni0"),
        (LocalDetector.INTERFACE_NAME_PREFIX, {"pod_interface_prefix": "veth"}, (), "veth*"),
    ],
)
def test_local_detectors(detector: LocalDetector, more: dict[str, Any], cidrs: tuple[str, ...], interface: str) -> None:
    pods = settings(detect_local=detector, **more).pods

    assert (pods.cidrs, pods.interface, bool(pods)) == (cidrs, interface, bool(cidrs or interface))


def test_health_checks_answer_where_node_ports_do() -> None:
    local = ["127.0.0.1", "192.0.2.7", "10.244.1.1", "::1", "2001:db8::1", "fe80::1"]
    both = [settings(family) for family in Family]

    assert health_hosts(both, local) == ("192.0.2.7", "2001:db8::1")
    assert health_hosts([settings(nodeport_addresses=("10.0.0.0/8", "192.0.2.0/24"))], local) == (
        "10.244.1.1",
        "192.0.2.7",
    )
    assert health_hosts([*both, settings(nodeport_addresses=("all",))], local) is None


@pytest.mark.parametrize(
    ("per_core", "least", "cores", "flows"),
    [(32768, 131072, 2, 131072), (32768, 131072, 8, 262144), (32768, 131072, 64, 1048576), (0, 131072, 8, 0)],
)
def test_the_size_of_the_connection_table(per_core: int, least: int, cores: int, flows: int) -> None:
    options = ProxyOptions(None, "node-a", conntrack_max_per_core=per_core, conntrack_min=least)

    assert most_flows(options, cores) == flows
