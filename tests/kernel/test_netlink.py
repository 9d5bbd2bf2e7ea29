"""rtnetlink and named namespaces against the kernel, in namespaces of the test's own."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from kubesvc.linux import netns
from kubesvc.linux.netlink import Exists, Missing, NetlinkError, Nexthop, RouteSocket, Rule

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: run the tests with sudo")]


@pytest.fixture
def two() -> Iterator[tuple[int, int, str, str]]:
    """Two fresh namespaces: descriptors and names."""
    names = (f"kt-nl-a-{os.getpid()}", f"kt-nl-b-{os.getpid()}")
    for name in names:
        netns.create(name)
    fds = [netns.open_netns(name) for name in names]
    yield fds[0], fds[1], *names
    for fd in fds:
        os.close(fd)
    for name in names:
        netns.delete(name)


def ip(name: str, *words: str) -> str:
    return subprocess.run(["ip", "-n", name, *words], capture_output=True, text=True, check=True).stdout


def test_a_namespace_is_one_of_ips_and_has_its_loopback_up(two: tuple[int, int, str, str]) -> None:
    name = two[2]
    assert netns.exists(name)
    assert name in netns.names()
    assert name in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert "LOOPBACK,UP" in ip(name, "link", "show", "lo")


def test_a_name_can_be_taken_once_and_removed_twice() -> None:
    name = f"kt-nl-c-{os.getpid()}"
    netns.create(name)
    with pytest.raises(FileExistsError):
        netns.create(name)
    assert netns.exists(name), "a refused create takes nothing away"
    netns.delete(name)
    netns.delete(name)
    assert not netns.exists(name)


def test_a_thread_comes_back_from_a_namespace_even_after_a_failure(two: tuple[int, int, str, str]) -> None:
    home = os.readlink("/proc/thread-self/ns/net")
    assert netns.run_in(two[2], lambda: os.readlink("/proc/thread-self/ns/net")) != home
    with pytest.raises(ZeroDivisionError), netns.entered(two[0]):
        _ = 1 / 0
    assert os.readlink("/proc/thread-self/ns/net") == home


def test_a_veth_pair_is_born_with_its_peer_elsewhere(two: tuple[int, int, str, str]) -> None:
    a, b, name_a, name_b = two
    with RouteSocket(a) as here, RouteSocket(b) as there:
        here.link_add_bridge("br0")
        here.link_add_veth(
            "v0", "p0", peer_netns_fd=b, peer_name_inside="eth0", peer_address="ee:ee:ee:ee:ee:01", mtu=1400
        )
        here.link_set("v0", up=True, master="br0")
        links = {link.name: link for link in here.links()}
        inside = {link.name: link for link in there.links()}
    assert links["v0"].master == links["br0"].index
    assert (links["v0"].kind, links["v0"].up, links["v0"].mtu) == ("veth", True, 1400)
    assert inside["eth0"].address == "ee:ee:ee:ee:ee:01"
    assert "master br0" in ip(name_a, "link", "show", "v0")
    assert "eth0" in ip(name_b, "link")


def test_links_are_renamed_released_and_deleted(two: tuple[int, int, str, str]) -> None:
    with RouteSocket(two[0]) as route:
        route.link_add_bridge("br0")
        route.link_add_veth("v0", "v1")
        route.link_set("v0", master="br0")
        route.link_set("v0", master="", rename="v9", address="02:00:00:00:00:07")
        found = {link.name: link for link in route.links()}
        assert (found["v9"].master, found["v9"].address) == (0, "02:00:00:00:00:07")
        route.link_set("v9", netns_fd=two[1])
        route.link_delete("br0")
        route.link_delete("br0")
        assert "br0" not in [link.name for link in route.links()]
    assert "v9" in ip(two[3], "link")


def test_addresses_and_routes_of_every_kind(two: tuple[int, int, str, str]) -> None:
    with RouteSocket(two[0]) as route:
        route.link_add_veth("eth0", "peer")
        for name in ("eth0", "peer"):
            route.link_set(name, up=True)
        for _ in range(2):
            route.address_add("eth0", "192.0.2.2/24")
        route.address_add("eth0", "2001:db8::2/64")
        route.route_replace("default", via="192.0.2.1")
        route.route_replace("10.1.0.0/16", via="192.0.2.7", metric=50)
        route.route_replace("10.2.0.0/16", kind="unreachable")
        route.route_replace("10.3.0.0/16", kind="blackhole")
        route.route_replace("10.4.0.4", dev="eth0", src="192.0.2.2")
        route.route_replace("10.5.0.0/16", nexthops=[Nexthop("192.0.2.3"), Nexthop("192.0.2.4", weight=2)])
        route.route_replace("2001:db8:1::/64", via="2001:db8::1")
        routes = {each.dst: each for each in route.routes()}
        addresses = [each.address for each in route.addresses() if each.link == "eth0"]
    assert "192.0.2.2/24" in addresses
    assert "2001:db8::2/64" in addresses
    assert routes["default"].via == "192.0.2.1"
    assert routes["10.1.0.0/16"].metric == 50
    assert [routes[f"10.{n}.0.0/16"].kind for n in (2, 3)] == ["unreachable", "blackhole"]
    assert (routes["10.4.0.4/32"].dev, routes["10.4.0.4/32"].src) == ("eth0", "192.0.2.2")
    assert [(way.via, way.weight) for way in routes["10.5.0.0/16"].nexthops] == [("192.0.2.3", 1), ("192.0.2.4", 2)]
    assert routes["2001:db8:1::/64"].via == "2001:db8::1"


def test_a_route_is_replaced_in_place_and_deleted_twice(two: tuple[int, int, str, str]) -> None:
    with RouteSocket(two[0]) as route:
        route.route_replace("10.2.0.0/16", kind="unreachable")
        route.route_replace("10.2.0.0/16", kind="blackhole")
        assert [each.kind for each in route.routes()] == ["blackhole"]
        route.route_delete("10.2.0.0/16")
        route.route_delete("10.2.0.0/16")
        assert route.routes() == []


def test_rules_are_listed(two: tuple[int, int, str, str]) -> None:
    for rule in ("priority 100 iif lo to 10.96.0.0/16 unreachable", "priority 101 to 10.96.0.0/16 table 1000"):
        command = ["nsenter", f"--net=/proc/self/fd/{two[0]}", "ip", "rule", "add", *rule.split()]
        subprocess.run(command, check=True, pass_fds=[two[0]])
    with RouteSocket(two[0]) as route:
        rules = route.rules()
        assert Rule(100, "unreachable", iif="lo", to="10.96.0.0/16") in rules
        assert Rule(101, "table", to="10.96.0.0/16", table=1000) in rules


def test_errors_name_the_object_and_the_reason(two: tuple[int, int, str, str]) -> None:
    with RouteSocket(two[0]) as route:
        route.link_add_bridge("br0")
        with pytest.raises(Exists, match="^link br0: File exists$"):
            route.link_add_bridge("br0")
        with pytest.raises(Missing, match="^link nope: No such device$"):
            route.link_set("nope", up=True)
        with pytest.raises(NetlinkError, match=r"^route 10\.0\.0\.0/8: Network is unreachable$"):
            route.route_replace("10.0.0.0/8", via="192.0.2.1")


def test_hundreds_of_links_are_listed_whole(two: tuple[int, int, str, str]) -> None:
    with RouteSocket(two[0]) as route:
        for number in range(150):
            route.link_add_bridge(f"b{number}")
        assert len(route.links()) == 151
