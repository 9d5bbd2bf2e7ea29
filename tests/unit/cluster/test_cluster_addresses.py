"""Which networks a cluster takes on a machine that already uses some."""

from ipaddress import IPv4Network as Net

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.cluster.addresses import NoFreeNetwork, choose_networks


def test_an_empty_machine_gets_the_first_networks() -> None:
    chosen = choose_networks([])
    assert (str(chosen.nodes), str(chosen.pool)) == ("10.89.0.0/24", "10.90.0.0/24")


def test_a_second_cluster_gets_the_next_ones() -> None:
    first = choose_networks([])
    second = choose_networks([first.nodes, first.pool])
    assert (str(second.nodes), str(second.pool)) == ("10.89.1.0/24", "10.90.1.0/24")


def test_the_default_route_covers_everything_and_counts_for_nothing() -> None:
    assert choose_networks([Net("0.0.0.0/0")]) == choose_networks([])


def test_a_vpn_that_routes_all_of_ten_moves_the_cluster_elsewhere() -> None:
    chosen = choose_networks([Net("10.0.0.0/8")])
    assert (str(chosen.nodes), str(chosen.pool)) == ("172.29.0.0/24", "172.30.0.0/24")


def test_an_asked_network_that_clashes_is_refused_with_the_clash_named() -> None:
    with pytest.raises(NoFreeNetwork, match=r"--node-network 10\.1\.0\.0/24 overlaps 10\.0\.0\.0/8"):
        choose_networks([Net("10.0.0.0/8")], nodes=Net("10.1.0.0/24"))


def test_an_asked_pool_that_is_the_node_network_is_refused() -> None:
    with pytest.raises(NoFreeNetwork, match="--load-balancer-pool"):
        choose_networks([], nodes=Net("10.5.0.0/24"), pool=Net("10.5.0.0/24"))


@pytest.mark.parametrize("own", ["10.96.5.0/24", "10.244.1.0/24"])
def test_what_the_cluster_uses_inside_is_refused_although_the_machine_does_not_route_it(own: str) -> None:
    with pytest.raises(NoFreeNetwork, match=r"--node-network .* from which the cluster's (Services|pods) get"):
        choose_networks([], nodes=Net(own))
    with pytest.raises(NoFreeNetwork, match="--load-balancer-pool"):
        choose_networks([], pool=Net(own))


@pytest.mark.parametrize("unusable", ["224.0.0.0/24", "240.0.0.0/24", "0.0.0.0/24"])
def test_a_network_without_host_addresses_is_refused(unusable: str) -> None:
    with pytest.raises(NoFreeNetwork, match="holds no addresses that hosts can have"):
        choose_networks([], nodes=Net(unusable))


def test_a_machine_that_uses_everything_says_so() -> None:
    with pytest.raises(NoFreeNetwork, match="no private /24"):
        choose_networks([Net("0.0.0.0/1"), Net("128.0.0.0/1")])


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(9, 32)), max_size=30))
def test_what_is_chosen_overlaps_nothing_in_use(blocks: list[tuple[int, int]]) -> None:
    occupied = [Net((address, length), strict=False) for address, length in blocks]
    chosen = choose_networks(occupied)
    assert not chosen.nodes.overlaps(chosen.pool)
    assert not any(net.overlaps(chosen.nodes) or net.overlaps(chosen.pool) for net in occupied)
