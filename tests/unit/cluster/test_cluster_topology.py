"""Names and addresses of a cluster."""

from ipaddress import IPv4Network as Net

import pytest

from kubesvc.cluster.topology import BadName, Topology, check_name


def topology(name: str = "lab", nodes: int = 2) -> Topology:
    return Topology(name=name, node_network=Net("10.89.0.0/24"), pool=Net("10.90.0.0/24"), node_count=nodes)


def test_nodes_have_consecutive_addresses_and_pod_networks() -> None:
    assert [(n.name, str(n.address), str(n.pod_cidr), n.netns) for n in topology().nodes] == [
        ("node-1", "10.89.0.11", "10.244.1.0/24", "ksv-lab-node-1"),
        ("node-2", "10.89.0.12", "10.244.2.0/24", "ksv-lab-node-2"),
    ]


def test_the_host_and_the_router_sit_at_the_ends_of_the_node_network() -> None:
    assert (str(topology().router_address), str(topology().host_address)) == ("10.89.0.1", "10.89.0.254")


def test_a_link_name_fits_the_kernels_limit_whatever_the_cluster_is_called() -> None:
    assert len(topology("a" * 30).host_link) <= 15


def test_two_names_make_two_links() -> None:
    assert topology("a").host_link != topology("b").host_link


@pytest.mark.parametrize("name", ["lab", "a", "a-1", "x" * 30])
def test_good_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "Lab", "-a", "a-", "a_b", "x" * 31, "a/b", "..", "a\n"])
def test_bad_names_are_refused_with_the_rule(name: str) -> None:
    with pytest.raises(BadName, match="lower-case"):
        check_name(name)
