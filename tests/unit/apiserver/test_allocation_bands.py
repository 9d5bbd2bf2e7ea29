"""Numbers out of two bands: which, in which order, and that none is given twice."""

from ipaddress import ip_network
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from kubesvc.apiserver.allocator import AddressRange, Bands, PortRange, banded


def test_the_static_band_is_a_sixteenth_between_sixteen_and_256() -> None:
    bands = {bits: AddressRange(ip_network(f"10.0.0.0/{bits}")).bands for bits in (16, 20, 24, 28, 30)}
    assert {bits: one.static for bits, one in bands.items()} == {16: 256, 20: 255, 24: 16, 28: 0, 30: 0}
    assert bands[24].size == 254


def test_the_default_node_ports_leave_86_to_people() -> None:
    assert banded(2768, least=16, most=128, step=32) == Bands(2768, 86)
    assert all((PortRange(30000, 32767).pick(lambda _: False, Random(seed)) or 0) >= 30086 for seed in range(50))


def test_addresses_leave_out_the_networks_own_and_broadcast() -> None:
    four, six = AddressRange(ip_network("10.0.0.0/30")), AddressRange(ip_network("fd00::/126"))
    assert [str(a) for a in four.network if a in four] == ["10.0.0.1", "10.0.0.2"]
    assert [str(a) for a in six.network if a in six] == ["fd00::1", "fd00::2", "fd00::3"]
    assert ip_network("fd00::/126")[1] not in four


@given(st.integers(1, 60), st.integers(0, 20), st.integers())
def test_every_number_is_given_once_the_dynamic_ones_first(size: int, static: int, seed: int) -> None:
    bands, random = Bands(size, min(static, size)), Random(seed)
    given_out: list[int] = []
    while (number := bands.pick(lambda n: n in given_out, random)) is not None:
        given_out.append(number)
    assert sorted(given_out) == list(range(size))
    upper = size - bands.static
    assert all(number >= bands.static for number in given_out[:upper])


def test_an_ipv6_range_is_picked_from_without_counting_it() -> None:
    one = AddressRange(ip_network("fd00::/64"))
    picked = one.pick(lambda _: False, Random(1))
    assert picked
    assert picked in one
