"""P: which address the next pod of the node gets: round robin, so that a freed address rests before its next use."""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network


class NoAddressLeft(Exception):
    """Every address of the node's pod network is in use."""


class AddressPool:
    """The pod addresses of one node; the network's first address stays the node's own."""

    def __init__(self, cidr: str, *, last: str = "", on_take: Callable[[str, str], None] | None = None) -> None:
        """`last` was given out last in an earlier life; `on_take` hears (cidr, address) of each one given out."""
        self._on_take = on_take
        self._network = IPv4Network(cidr)
        self._used: set[IPv4Address] = set()
        self._last = IPv4Address(last) if last else self._network[1]

    def take(self) -> str:
        """A free address; NoAddressLeft when there is none."""
        first, size = int(self._network[0]), self._network.num_addresses
        start = int(self._last) - first
        for step in range(1, size + 1):
            offset = (start + step) % size
            address = IPv4Address(first + offset)
            if 2 <= offset < size - 1 and address not in self._used:
                self._used.add(address)
                self._last = address
                if self._on_take is not None:
                    self._on_take(str(self._network), str(address))
                return str(address)
        raise NoAddressLeft(f"no free pod address in {self._network}: {len(self._used)} are in use")

    def claim(self, addresses: Iterable[str]) -> None:
        """Mark addresses of adopted pods as used."""
        self._used.update(IPv4Address(address) for address in addresses if address)

    def release(self, address: str) -> None:
        """Give one back. Idempotent."""
        if address:
            self._used.discard(IPv4Address(address))
