"""Bytes that the kernel counted by whom connections asked for, as bytes of Services and endpoints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.proxy.test_counting import WEB

from kubesvc.proxy.model import Family, PortPlan, ServicePort, ServicePortName, Target
from kubesvc.proxy.traffic import IDLE_SECONDS, Direction, Ends, Gains, Owners, Traffic
from kubesvc.proxy.traffic_layout import layout

TCP, UDP = 6, 17
VIP, EXTERNAL, BALANCER, NODE = "10.96.0.1", "198.51.100.7", "203.0.113.7", "192.0.2.1"
POD, GONE = Target("10.244.1.2", 8080), Target("10.244.1.9", 8080)
PORT = ServicePort(
    WEB, Family.IPV4, VIP, 80, node_port=30080, external_ips=(EXTERNAL,), load_balancer_ips=(BALANCER,),
    external_type=True,
)  # fmt: skip
PLANS = {WEB: PortPlan(PORT, cluster=(POD,))}
REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE


@pytest.mark.parametrize(
    ("address", "protocol", "port", "owner"),
    [
        (VIP, TCP, 80, WEB),
        (EXTERNAL, TCP, 80, WEB),
        (BALANCER, TCP, 80, WEB),
        (NODE, TCP, 30080, WEB),
        ("127.0.0.1", TCP, 30080, WEB),
        (VIP, UDP, 80, None),
        (VIP, TCP, 81, None),
        (VIP, TCP, 30080, None),
        (NODE, TCP, 80, None),
        ("192.0.2.99", TCP, 30080, None),
    ],
    ids=str,
)
def test_an_address_and_port_is_a_services_or_nobodys(
    address: str, protocol: int, port: int, owner: ServicePortName | None
) -> None:
    assert Owners(PLANS, [NODE]).find(Ends(address, protocol, port, POD)) == owner


class Kernel:
    """Elements by name, and the sums that are made of them."""

    def __init__(self) -> None:
        self.ends: dict[bytes, Ends] = {}
        self.found: dict[Direction, dict[bytes, int]] = {REQUEST: {}, RESPONSE: {}}
        self.traffic = Traffic()
        self.now = 0.0

    def counted(self, number: int, endpoint: Target | None = POD, way: Direction = REQUEST, to: str = VIP) -> None:
        key = f"{to} {endpoint}".encode()
        self.ends[key] = Ends(to, TCP, 80, endpoint)
        self.found[way][key] = number

    def look(self, plans: dict[ServicePortName, PortPlan] | None = None) -> None:
        self.traffic.update(
            self.found, self.ends.__getitem__, PLANS if plans is None else plans, local=[NODE], now=self.now
        )


def test_every_service_is_shown_and_every_endpoint_that_carried_anything() -> None:
    kernel = Kernel()
    kernel.look()
    assert kernel.traffic.services == {(WEB, REQUEST): 0, (WEB, RESPONSE): 0}
    assert kernel.traffic.endpoints == {}

    kernel.counted(100)
    kernel.counted(4000, way=RESPONSE)
    kernel.counted(7, to=EXTERNAL)
    kernel.look()
    assert kernel.traffic.services == {(WEB, REQUEST): 107, (WEB, RESPONSE): 4000}
    assert kernel.traffic.endpoints == {(WEB, POD, REQUEST): 107, (WEB, POD, RESPONSE): 4000}


def test_translations_of_another_program_are_nobodys() -> None:
    kernel = Kernel()
    kernel.counted(100, to="10.1.2.3")
    kernel.look()
    assert set(kernel.traffic.services.values()) == {0}


def test_an_element_that_went_and_came_again_adds_up() -> None:
    kernel = Kernel()
    for number in (100, 100, 250, 30, 50):
        kernel.counted(number)
        kernel.look()
    assert kernel.traffic.services[WEB, REQUEST] == 300


def test_an_element_that_a_listing_missed_is_not_counted_twice() -> None:
    kernel = Kernel()
    kernel.counted(100)
    kernel.look()
    missed = kernel.found[REQUEST].popitem()
    for _ in range(3):
        kernel.now += IDLE_SECONDS / 4
        kernel.look()
    kernel.found[REQUEST] = {missed[0]: 110}
    kernel.look()
    assert kernel.traffic.services[WEB, REQUEST] == 110


def test_what_has_been_gone_for_long_is_forgotten() -> None:
    gains = Gains()
    gains.take({b"one": 5})
    gains.age()
    assert gains.take({b"one": 7}) == {b"one": 2}
    gains.age()
    gains.age()
    assert gains.take({b"one": 7}) == {b"one": 7}


def test_an_endpoint_that_drains_is_shown_while_it_carries_anything() -> None:
    kernel = Kernel()
    kernel.counted(100, endpoint=GONE)
    kernel.look()
    assert kernel.traffic.endpoints == {(WEB, GONE, REQUEST): 100}
    kernel.look()
    assert kernel.traffic.endpoints == {}
    assert kernel.traffic.services[WEB, REQUEST] == 100


def test_a_service_that_is_gone_is_dropped() -> None:
    kernel = Kernel()
    kernel.counted(100)
    kernel.look()
    kernel.counted(200)
    kernel.look(plans={})
    assert kernel.traffic.services == {}
    assert kernel.traffic.endpoints == {}


@given(st.lists(st.integers(min_value=0, max_value=1000), min_size=1))
def test_gains_of_a_counter_that_only_grows_add_up_to_it(numbers: list[int]) -> None:
    gains = Gains()
    grown = sorted(numbers)
    assert sum(gains.take({b"one": number}).get(b"one", 0) for number in grown) == grown[-1]


@pytest.mark.parametrize("family", Family)
def test_tables_of_other_keys_have_other_names(family: Family) -> None:
    short, long = (layout(family, endpoints=endpoints) for endpoints in (False, True))
    assert short.comment != long.comment
    assert short.text.count("update @") + 2 == short.rules == long.rules
    assert "ct reply" not in short.text
