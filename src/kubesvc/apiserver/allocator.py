"""Picking free numbers from ranges with two bands (KEP-3070, KEP-3668).

People choose from the lower, static band; the dynamic pick starts in the upper one at random and enters the
lower one only when the upper is full, so that a chosen value is rarely taken already. What is taken is not
known here but asked of the store, where it is part of the same transaction as the object that has it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from kubesvc.api.addresses import Address, Network

_TRIES = 16
Taken = Callable[[int], bool]


class Draw(Protocol):
    """A source of random numbers, such as `random.Random`."""

    def randrange(self, start: int, stop: int, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Bands:
    """Numbers 0 to size - 1, of which the first `static` are the static band."""

    size: int
    static: int

    def pick(self, taken: Taken, random: Draw) -> int | None:
        """A free number; None when all are taken."""
        if self.size > self.static:
            for _ in range(_TRIES):
                number = random.randrange(self.static, self.size)
                if not taken(number):
                    return number
        found = _first_free(range(self.static, self.size), taken, random)
        return found if found is not None else _first(range(self.static), taken)


def _first_free(band: range, taken: Taken, random: Draw) -> int | None:
    """The first free number from a random start on, once around."""
    if not band:
        return None
    start = random.randrange(0, len(band))
    found = _first(band[start:], taken)
    return found if found is not None else _first(band[:start], taken)


def _first(band: range, taken: Taken) -> int | None:
    return next((number for number in band if not taken(number)), None)


def banded(size: int, *, least: int, most: int, step: int) -> Bands:
    """Bands of a range of `size`: a static one of size / step, kept between `least` and `most`; none in tiny ranges."""
    return Bands(size, 0 if size < least else min(max(least, size // step), most))


@dataclass(frozen=True, slots=True)
class AddressRange:
    """The Service addresses of one CIDR: without the network's own and, in IPv4, without the broadcast address."""

    network: Network

    def __contains__(self, address: Address) -> bool:
        if address.version != self.network.version:
            return False
        return 1 <= int(address) - int(self.network.network_address) <= self.bands.size

    @property
    def bands(self) -> Bands:
        usable = self.network.num_addresses - (2 if self.network.version == 4 else 1)
        return banded(max(0, min(usable, 2**62)), least=16, most=256, step=16)

    @property
    def first(self) -> Address:
        return self.network.network_address + 1

    def pick(self, taken: Callable[[Address], bool], random: Draw) -> Address | None:
        """A free address; None when the range is full."""
        base = int(self.first)
        number = self.bands.pick(lambda n: taken(self._address(base + n)), random)
        return None if number is None else self._address(base + number)

    def _address(self, number: int) -> Address:
        return ip_address(number) if self.network.version == 4 else type(self.network.network_address)(number)


@dataclass(frozen=True, slots=True)
class PortRange:
    """The node ports, both ends included."""

    low: int
    high: int

    def __contains__(self, port: int) -> bool:
        return self.low <= port <= self.high

    def __str__(self) -> str:
        return f"{self.low}-{self.high}"

    def pick(self, taken: Taken, random: Draw) -> int | None:
        """A free port; None when all are taken."""
        bands = banded(self.high - self.low + 1, least=16, most=128, step=32)
        number = bands.pick(lambda n: taken(self.low + n), random)
        return None if number is None else self.low + number
