"""Addresses: strict for new values, lenient for stored ones."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.api import addresses


@pytest.mark.parametrize("text", ["10.0.0.1", "0.0.0.0", "::", "2001:db8::1", "2001:DB8::1"])
def test_plain_addresses_are_strict(text: str) -> None:
    assert addresses.check_ip(text) == []
    assert addresses.parse_ip(text) is not None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("010.0.0.1", "must not have leading 0s"),
        ("::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"),
        ("1.2.3", addresses.IP_EXPECTED),
        ("fe80::1%eth0", addresses.IP_EXPECTED),
        ("", addresses.IP_EXPECTED),
        ("1.2.3.256", addresses.IP_EXPECTED),
        ("10.0.0.1/8", addresses.IP_EXPECTED),
    ],
)
def test_ambiguous_spellings_are_refused(text: str, problem: str) -> None:
    assert addresses.check_ip(text) == [problem]
    assert addresses.parse_ip(text) is None


def test_the_lenient_reading_takes_leading_zeros_as_decimal() -> None:
    assert addresses.parse_lenient_ip("010.000.0.08") == IPv4Address("10.0.0.8")
    assert addresses.parse_lenient_ip("::ffff:1.2.3.4") == IPv4Address("1.2.3.4")
    assert addresses.parse_lenient_ip("64:ff9b::010.0.0.1") == IPv6Address("64:ff9b::a00:1")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
        ("010.0.0.0/8", "must not have leading 0s"),
        ("10.0.0.0/08", "must not have leading 0s in prefix length"),
        ("10.0.0.0/33", addresses.CIDR_EXPECTED),
        ("10.0.0.0", addresses.CIDR_EXPECTED),
        ("10.0.0.0/-1", addresses.CIDR_EXPECTED),
        ("10.0.0.0/255.0.0.0", addresses.CIDR_EXPECTED),
    ],
)
def test_ranges_have_no_host_bits(text: str, problem: str) -> None:
    assert addresses.check_cidr(text) == [problem]


def test_canonical_spelling_is_asked_for_where_it_is_needed() -> None:
    assert addresses.check_canonical_ip("2001:db8::1") == []
    assert addresses.check_canonical_ip("2001:DB8::1") == ['must be in canonical form ("2001:db8::1")']
    assert addresses.check_canonical_cidr("2001:DB8::/64") == ['must be in canonical form ("2001:db8::/64")']


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("0.0.0.0", "unspecified"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("169.254.1.1", "link-local range"),
        ("fe80::1", "link-local range"),
        ("224.0.0.1", "link-local multicast"),
        ("ff02::1", "link-local multicast"),
    ],
)
def test_no_service_may_claim_special_addresses(text: str, word: str) -> None:
    [problem] = addresses.check_ordinary_ip(text)
    assert word in problem


@given(st.ip_addresses())
def test_the_canonical_form_of_an_address_is_canonical(address: IPv4Address | IPv6Address) -> None:
    text = addresses.canonical_ip(str(address))
    assert addresses.check_canonical_ip(text) == []
    assert addresses.family_of(text) == f"IPv{addresses.parse_lenient_ip(text).version}"  # type: ignore[union-attr]


@given(st.text(max_size=20))
def test_no_text_makes_the_parsers_fail(text: str) -> None:
    addresses.check_ip(text)
    addresses.check_cidr(text)
    addresses.check_ordinary_ip(text)
