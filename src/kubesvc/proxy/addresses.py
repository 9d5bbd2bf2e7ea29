"""Addresses as canonical text, and what may not be one.

Objects older than strict validation may have octets with leading zeros (decimal, as Kubernetes has
always read them) and IPv4 addresses written as mapped IPv6 ones: both mean the IPv4 address.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_interface,
    ip_network,
)

from kubesvc.proxy.model import Family

_LEADING_ZEROS = re.compile(r"\b0+(?=\d)")
_PADDED = re.compile(r"\d+(\.\d+){3}(/\d+)?")


def _unpadded(text: str) -> str:
    text = text.strip()
    return _LEADING_ZEROS.sub("", text) if _PADDED.fullmatch(text) else text


# One object's addresses are asked for several times in a row; kept any longer, those of Services long gone fill memory.
@lru_cache(maxsize=1024)
def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(_unpadded(text))
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    # A zone (`fd00::1%eth0`) means something on one host only, and nothing to the rules.
    return None if address.scope_id else address.ipv4_mapped or address


def family_of(text: str) -> Family | None:
    """The family of an address; None if the text is no address."""
    address = _parse(text)
    if address is None:
        return None
    return Family.IPV4 if address.version == 4 else Family.IPV6


def canonical(text: str, family: Family) -> str | None:
    """The shortest usual form of an address of this family; None for anything else."""
    address = _parse(text)
    if address is None or family_of(text) is not family:
        return None
    return str(address)


_OCTETS = frozenset(map(str, range(256)))
_SPECIAL = frozenset(map(str, (0, 127, 169, *range(224, 256))))


def _plainly_usable(text: str) -> bool:
    """Whether this is an IPv4 address in its usual form and far from every special range; False may be wrong."""
    octets = text.split(".")
    return len(octets) == 4 and _OCTETS.issuperset(octets) and octets[0] not in _SPECIAL


def usable_endpoint(text: str, family: Family) -> str | None:
    """Like `canonical`, but refuses what can never be an endpoint: loopback, link-local, multicast, unspecified."""
    if family is Family.IPV4 and _plainly_usable(text):
        return text  # as nearly all are, by the hundred thousand
    address = _parse(text)
    if address is None or (address.version == 4) is not (family is Family.IPV4):
        return None
    if address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
        return None
    return str(address)


def canonical_range(text: str, family: Family) -> str | None:
    """A CIDR of this family with its host bits cleared; None for anything else."""
    try:
        interface = ip_interface(_unpadded(text))
    except ValueError:
        return None
    if isinstance(interface, IPv6Interface) is not (family is Family.IPV6):
        return None
    return str(interface.network)


def collapse_ranges(cidrs: Iterable[str]) -> tuple[str, ...]:
    """The fewest CIDRs that hold the same addresses, in order; all of one family."""
    networks = [ip_network(cidr) for cidr in cidrs]
    four = [network for network in networks if isinstance(network, IPv4Network)]
    six = [network for network in networks if isinstance(network, IPv6Network)]
    return tuple(str(network) for network in (*collapse_addresses(four), *collapse_addresses(six)))


def range_contains(cidr: str, address: str) -> bool:
    """Whether `address` lies in `cidr`; both canonical."""
    parsed = _parse(address)
    network = ip_interface(cidr).network
    return parsed is not None and parsed.version == network.version and parsed in network


def range_family(cidr: str) -> Family | None:
    """The family of a CIDR; None if the text is none."""
    for family in Family:
        if canonical_range(cidr, family) is not None:
            return family
    return None
