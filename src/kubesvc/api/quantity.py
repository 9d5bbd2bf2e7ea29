"""Resource quantities: `500m`, `1Gi`, `1e3` (the API's `resource.Quantity`).

A quantity is an exact number and the notation it was written in. The canonical form keeps the
notation, has no fraction, and the largest suffix that allows that.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import total_ordering


class Notation(StrEnum):
    BINARY_SI = "BinarySI"
    DECIMAL_SI = "DecimalSI"
    DECIMAL_EXPONENT = "DecimalExponent"


_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_NANO = 10**9
_MAX_EXPONENT = 36
_PARTS = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?").fullmatch


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """An exact amount; compares and hashes by value alone, so `1000m == 1`."""

    value: Fraction
    notation: Notation = Notation.DECIMAL_SI

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, Quantity) else NotImplemented

    def __lt__(self, other: "Quantity") -> bool:
        return self.value < other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.value + other.value, self.notation)

    def __sub__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.value - other.value, self.notation)

    def __int__(self) -> int:
        """Rounded up, as the API's `Value()` does."""
        return -((-self.value.numerator) // self.value.denominator)

    def __str__(self) -> str:
        if self.value == 0:
            return "0"
        if self.notation is Notation.BINARY_SI and self.value.denominator == 1 and abs(self.value) >= 1024:
            return _format_binary(self.value.numerator)
        return _format_decimal(self.value, exponent=self.notation is Notation.DECIMAL_EXPONENT)


def parse_quantity(text: str | int | float) -> Quantity:
    """Read a quantity, rounded up to whole nanos; ValueError says what a quantity looks like."""
    parts = _PARTS(str(text))
    if parts is None:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, suffix = Fraction(parts[1]), parts[2] or ""
    if suffix in _BINARY:
        return Quantity(_round_up(number * 2 ** _BINARY[suffix]), Notation.BINARY_SI)
    if suffix in _DECIMAL:
        return Quantity(_round_up(number * Fraction(10) ** _DECIMAL[suffix]))
    power = int(suffix[1:])
    if abs(power) > _MAX_EXPONENT:
        raise ValueError(f"quantity {text}: the exponent is beyond {_MAX_EXPONENT}")
    return Quantity(_round_up(number * Fraction(10) ** power), Notation.DECIMAL_EXPONENT)


def canonical_quantity(text: str | int | float) -> str:
    """`1024Mi` as `1Gi`, `0.5` as `500m`."""
    return str(parse_quantity(text))


def _round_up(value: Fraction) -> Fraction:
    nanos = value * _NANO
    if nanos.denominator == 1:
        return value
    away = 1 if nanos > 0 else -1
    return Fraction(away * -((-abs(nanos.numerator)) // nanos.denominator), _NANO)


def _format_binary(number: int) -> str:
    for suffix, bits in reversed(_BINARY.items()):
        if number % (1 << bits) == 0:
            return f"{number >> bits}{suffix}"
    return str(number)


def _format_decimal(value: Fraction, *, exponent: bool) -> str:
    digits, power = int(value * _NANO), -9
    while digits % 1000 == 0 and power < 18:
        digits, power = digits // 1000, power + 3
    if not exponent:
        return f"{digits}{_DECIMAL_SUFFIX[power]}"
    return f"{digits}e{power}" if power else str(digits)
