"""IP addresses and CIDRs as the API takes them: strict for new values, lenient for old ones.

Strict values have no leading zeros, are no IPv4-mapped IPv6, and a CIDR has no host bits
(KEP-4858). The lenient reading is what API servers accepted before, for values already stored.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Family = Literal["IPv4", "IPv6"]

IP_EXPECTED = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_EXPECTED = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def parse_lenient_ip(text: str) -> Address | None:
    """Any spelling ever accepted: leading zeros are decimal, `::ffff:1.2.3.4` is 1.2.3.4. None if it is no address."""
    try:
        address = ip_address(_without_leading_zeros(text))
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id else address.ipv4_mapped or address
    return address


def parse_ip(text: str) -> Address | None:
    """A strict address, or None."""
    return None if check_ip(text) else parse_lenient_ip(text)


def check_ip(text: str) -> list[str]:
    """What keeps `text` from being a strict IP address, in the API's words."""
    address = parse_lenient_ip(text)
    if address is None:
        return [IP_EXPECTED]
    if ":" not in text and text != str(address):
        return ["must not have leading 0s"]
    if ":" in text and address.version == 4:
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


def check_canonical_ip(text: str) -> list[str]:
    """As `check_ip`, and spelt as RFC 5952 does."""
    address = parse_lenient_ip(text)
    if address is None:
        return [IP_EXPECTED]
    return [] if text == str(address) else [f'must be in canonical form ("{address}")']


def parse_lenient_cidr(text: str) -> Network | None:
    """The network a CIDR names, host bits cleared; None if it is no CIDR."""
    host, slash, length = text.partition("/")
    address = parse_lenient_ip(host)
    if address is None or not slash or not length.isascii() or not length.isdigit():
        return None
    bits = int(length)
    if ":" in host and address.version == 4:
        bits -= 96
    return ip_network(f"{address}/{bits}", strict=False) if 0 <= bits <= address.max_prefixlen else None


def check_cidr(text: str) -> list[str]:
    """What keeps `text` from being a strict CIDR, in the API's words."""
    network = parse_lenient_cidr(text)
    if network is None:
        return [CIDR_EXPECTED]
    host, _, length = text.partition("/")
    address = parse_lenient_ip(host)
    problems = check_ip(host)
    if len(length) > 1 and length.startswith("0"):
        problems.append("must not have leading 0s in prefix length")
    if not problems and address != network.network_address:
        problems.append("must not have bits set beyond the prefix length")
    return problems


def check_canonical_cidr(text: str) -> list[str]:
    """As `check_cidr`, and spelt as RFC 5952 does."""
    network = parse_lenient_cidr(text)
    if network is None:
        return [CIDR_EXPECTED]
    problems = check_cidr(text)
    if not problems and text != str(network):
        problems.append(f'must be in canonical form ("{network}")')
    return problems


def family_of(text: str) -> Family:
    """`IPv6` for anything spelt with a colon that is no mapped IPv4; `IPv4` otherwise."""
    address = parse_lenient_ip(text)
    return "IPv6" if address is not None and address.version == 6 else "IPv4"


def canonical_ip(text: str) -> str:
    """The address in its one spelling; what is no address stays as it is."""
    address = parse_lenient_ip(text)
    return text if address is None else str(address)


def check_ordinary_ip(text: str) -> list[str]:
    """Refuses the addresses no Service may claim: unspecified, loopback, link-local."""
    address = parse_lenient_ip(text)
    if address is None:
        return [IP_EXPECTED]
    problems: list[str] = []
    if address.is_unspecified:
        problems.append(f"may not be unspecified ({address})")
    if address.is_loopback:
        problems.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        problems.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address.is_multicast and _is_link_local_multicast(address):
        problems.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return problems


def _is_link_local_multicast(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address in IPv4Network("224.0.0.0/24")
    return address.packed[1] & 0x0F == 0x02


def _without_leading_zeros(text: str) -> str:
    """`010.0.0.1` as `10.0.0.1`, also at the end of an IPv6 address; anything else unchanged."""
    head, colon, tail = text.rpartition(":")
    octets = tail.split(".")
    if len(octets) != 4 or not all(octet.isascii() and octet.isdigit() for octet in octets):
        return text
    return f"{head}{colon}{'.'.join(str(int(octet)) for octet in octets)}"
