"""Quantities and numbers-or-percentages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.api.intstr import is_percent, resolve_port, scaled_value
from kubesvc.api.quantity import canonical_quantity, parse_quantity


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("1", "1"),
        ("0.5", "500m"),
        ("1500m", "1500m"),
        ("2000m", "2"),
        ("1000", "1k"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1e3", "1e3"),
        ("12e6", "12e6"),
        ("1E", "1E"),
        ("0", "0"),
        ("-1", "-1"),
        (".5", "500m"),
        ("+2", "2"),
        ("0.0000000001", "1n"),
    ],
)
def test_the_canonical_form_has_no_fraction_and_the_largest_suffix(written: str, canonical: str) -> None:
    assert canonical_quantity(written) == canonical


@pytest.mark.parametrize("text", ["", "x", "1x", "1 Gi", "--1", "1.2.3", "1Kib", "1e", "1e99999"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantit"):
        parse_quantity(text)


def test_quantities_compare_by_value_whatever_their_notation() -> None:
    assert parse_quantity("1000m") == parse_quantity("1")
    assert hash(parse_quantity("1Ki")) == hash(parse_quantity("1024"))
    assert parse_quantity("1Gi") > parse_quantity("1G")
    assert str(parse_quantity("1Gi") + parse_quantity("1Gi")) == "2Gi"
    assert str(parse_quantity("1") - parse_quantity("100m")) == "900m"


def test_whole_numbers_are_rounded_up() -> None:
    assert int(parse_quantity("1100m")) == 2
    assert int(parse_quantity("-1100m")) == -1


@given(st.integers(-(10**12), 10**12), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi", "e3"]))
def test_the_canonical_form_means_the_same_and_is_stable(number: int, suffix: str) -> None:
    quantity = parse_quantity(f"{number}{suffix}")
    assert parse_quantity(str(quantity)) == quantity
    assert canonical_quantity(str(quantity)) == str(quantity)


def test_a_percentage_is_a_share_of_the_total() -> None:
    assert scaled_value("25%", 10, round_up=True) == 3
    assert scaled_value("25%", 10, round_up=False) == 2
    assert scaled_value(4, 10, round_up=True) == 4
    assert not is_percent(25)
    with pytest.raises(ValueError, match="not a percentage"):
        scaled_value("many", 10, round_up=True)


def test_ports_are_numbers_or_names() -> None:
    assert resolve_port(80, {}) == 80
    assert resolve_port("http", {"http": 8080}) == 8080
    assert resolve_port("http", {}) is None
