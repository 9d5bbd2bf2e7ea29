"""Addresses, peers, the Node object, images, flags."""

import argparse

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.api.views import Node
from kubesvc.linux.mounts import parse_mountinfo
from kubesvc.node.flags import add_arguments, options_from, parse_labels
from kubesvc.node.imagenames import builtin_name, refusal
from kubesvc.node.ipam import AddressPool, NoAddressLeft
from kubesvc.node.masquerade import masquerade_ruleset
from kubesvc.node.nodeobject import Machine, new_node, node_status
from kubesvc.node.options import NodeOptions
from kubesvc.node.peers import Peer, diff_peers, peers_of
from kubesvc.node.runtime.protocol import exit_status
from kubesvc.node.runtime.rootfs import host_submounts
from kubesvc.testing import builders

KNOWN = ("kubesvc/echo", "kubesvc/host")


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("kubesvc/echo", "kubesvc/echo"),
        ("kubesvc/echo:latest", "kubesvc/echo"),
        ("docker.io/kubesvc/echo:1.2", "kubesvc/echo"),
        ("kubesvc/echo@sha256:00", "kubesvc/echo"),
        ("echo", None),
        ("nginx:1.27", None),
        ("registry:5000/kubesvc/echo", None),
    ],
)
def test_an_image_is_built_in_under_any_tag(image: str, name: str | None) -> None:
    assert builtin_name(image, KNOWN) == name


def test_any_other_image_is_refused_with_the_way_out() -> None:
    assert refusal("nginx", KNOWN) == (
        'image "nginx" is not built in, and the process runtime cannot pull images; it has kubesvc/echo, kubesvc/host: '
        "use one of these, with a `command` of this machine if you like"
    )


def test_addresses_go_round_and_a_freed_one_rests() -> None:
    pool = AddressPool("10.244.1.0/29")
    assert [pool.take() for _ in range(3)] == ["10.244.1.2", "10.244.1.3", "10.244.1.4"]
    pool.release("10.244.1.2")
    assert [pool.take() for _ in range(3)] == ["10.244.1.5", "10.244.1.6", "10.244.1.2"]
    with pytest.raises(NoAddressLeft, match="5 are in use"):
        pool.take()


def test_a_later_life_goes_on_after_the_last_address_and_spares_adopted_ones() -> None:
    said: list[tuple[str, str]] = []
    pool = AddressPool("10.244.1.0/24", last="10.244.1.7", on_take=lambda cidr, last: said.append((cidr, last)))
    pool.claim(["10.244.1.8"])
    assert pool.take() == "10.244.1.9"
    assert said == [("10.244.1.0/24", "10.244.1.9")]


@given(st.lists(st.booleans(), max_size=60))
def test_no_address_is_ever_given_twice(steps: list[bool]) -> None:
    pool = AddressPool("10.0.0.0/28")
    used: list[str] = []
    for take in steps:
        if take and len(used) < 13:
            used.append(pool.take())
        elif used:
            pool.release(used.pop(0))
    assert len(used) == len(set(used))


def node(name: str, ip: str, cidr: str) -> Node:
    return msgspec.convert(builders.node(name, ip=ip, podCIDR=cidr), Node)


def test_every_other_node_with_address_and_pod_network_is_a_peer() -> None:
    nodes = [
        node("a", "192.0.2.1", "10.244.1.0/24"),
        node("b", "192.0.2.2", "10.244.2.0/24"),
        node("c", "", "10.244.3.0/24"),
    ]
    assert peers_of(nodes, but="a") == {Peer("b", "10.244.2.0/24", "192.0.2.2")}


def test_a_peer_that_moves_is_replaced_not_removed() -> None:
    old = frozenset({Peer("b", "10.244.2.0/24", "192.0.2.2"), Peer("c", "10.244.3.0/24", "192.0.2.3")})
    new = frozenset({Peer("b", "10.244.2.0/24", "192.0.2.9")})
    assert diff_peers(old, new) == (
        [Peer("b", "10.244.2.0/24", "192.0.2.9")],
        [Peer("c", "10.244.3.0/24", "192.0.2.3")],
    )


def test_only_what_leaves_the_cluster_is_masqueraded() -> None:
    text = masquerade_ruleset("10.244.1.0/24", ["10.244.1.0/24", "192.0.2.1"])
    assert "ip saddr 10.244.1.0/24 ip daddr != @inside" in text
    assert "elements = { 10.244.1.0/24, 192.0.2.1 }" in text


MACHINE = Machine(4, 1024, "amd64", "6.1", "Debian", "m-1", "b-1", "0.1.0")


def options(**changes: object) -> NodeOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    flags = {
        "kubeconfig": "k", "node-name": "node-1", "node-ip": "192.0.2.1", "pod-cidr": "10.244.1.0/24",
        "tls-cert-file": "c", "tls-private-key-file": "p", "kubelet-token-file": "t",
    }  # fmt: skip
    words = [f"--{name}={value}" for name, value in (flags | changes).items()]
    return options_from(parser.parse_args(words))


def test_a_node_registers_with_address_pod_network_and_capacity() -> None:
    document = new_node(options(**{"node-labels": "topology.kubernetes.io/zone=a"}), MACHINE, 0.0)
    assert document["metadata"]["labels"]["topology.kubernetes.io/zone"] == "a"
    assert document["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
    assert document["spec"]["podCIDR"] == "10.244.1.0/24"
    assert {"type": "InternalIP", "address": "192.0.2.1"} in document["status"]["addresses"]
    assert document["status"]["capacity"] == {"cpu": "4", "memory": "1024Ki", "pods": "110"}
    assert document["status"]["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}


def test_a_nodes_conditions_keep_their_time() -> None:
    status = node_status(options(), MACHINE, 100.0, {"Ready": ("True", "2026-01-01T00:00:00Z")})
    ready = next(each for each in status["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["lastTransitionTime"]) == ("True", "2026-01-01T00:00:00Z")
    assert ready["lastHeartbeatTime"] == "1970-01-01T00:01:40Z"


def test_labels_are_key_value_pairs() -> None:
    assert parse_labels("a=b,c=") == {"a": "b", "c": ""}
    with pytest.raises(ValueError, match="'x' is not key=value"):
        parse_labels("x")


def test_every_flag_is_explained() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert all(action.help for action in parser._actions)


@pytest.mark.parametrize(("status", "code"), [(0, (0, 0)), (3 << 8, (3, 0)), (9, (137, 9)), (15, (143, 15))])
def test_death_by_signal_is_a_code_above_128(status: int, code: tuple[int, int]) -> None:
    assert exit_status(status) == code


def test_a_container_sees_the_hosts_program_mounts_and_no_others() -> None:
    table = parse_mountinfo(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        "2 1 8:2 / /usr rw shared:1 - ext4 /dev/sdb rw\n"
        "3 1 0:3 / /proc rw - proc proc rw\n"
        "4 1 8:4 / /home rw - ext4 /dev/sdc rw\n"
        "5 1 8:5 / /var/lib/kubesvc rw - ext4 /dev/sdd rw\n"
        "6 1 8:6 / /opt/a\\040b rw - ext4 /dev/sde rw\n"
    )
    assert [point.path for point in host_submounts(table, ("/var/lib/kubesvc",))] == ["/usr", "/opt/a b"]
