"""Addresses in objects are read as the standard library reads them."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.dns import objects, parse

NO_ADDRESSES = (
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4 ",
    "1.2.3.٤",
    "1.2.3.",
    "1.2.3.-4",
    "web",
    "1::2::3",
)


def read(address: str) -> tuple[bytes, ...]:
    service = objects.Service(objects.Bare("web", "default"), objects.ServiceSpec(cluster_ips=(address,)))
    return parse.service_row(service).addresses


@given(st.ip_addresses())
def test_an_address_is_read_as_the_standard_library_reads_it(address: object) -> None:
    assert read(str(address)) == (ip_address(str(address)).packed,)


@given(st.text("0123456789.", max_size=16))
def test_digits_and_dots_are_an_address_or_refused(text: str) -> None:
    try:
        expected = (ip_address(text).packed,)
    except ValueError:
        with pytest.raises(ValueError, match="does not appear to be"):
            read(text)
    else:
        assert read(text) == expected


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        read(text)
