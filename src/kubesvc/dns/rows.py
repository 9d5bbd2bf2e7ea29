"""Objects parsed once into rows: what names need, and small enough to hand to another process.

A row is the whole of what the answering side ever learns about an object.
"""

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_address
from itertools import repeat
from sys import intern

import msgspec

from kubesvc.api.resources import Key

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class Port(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A port under the names it has in DNS: `http`, `tcp`; an unnamed one has name ""."""

    name: str
    protocol: str
    number: int


class ServiceRow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="service"):
    """A Service. `addresses` are its ClusterIPs, packed; empty when headless or ExternalName."""

    namespace: str
    name: str
    headless: bool = False
    addresses: tuple[bytes, ...] = ()
    ports: tuple[Port, ...] = ()
    external_name: str = ""

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


class SliceRow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="slice"):
    """The ready endpoints of a slice: packed addresses, and beside each its hostname or "".

    Where no endpoint has one, `hostnames` is empty. A slice of type FQDN has `targets` instead.
    """

    namespace: str
    service: str
    name: str
    addresses: tuple[bytes, ...] = ()
    hostnames: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    targets: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.service)

    def endpoints(self) -> Iterator[tuple[bytes, str]]:
        """Each address with its endpoint's hostname, "" where it has none."""
        return zip(self.addresses, self.hostnames or repeat(""), strict=False)


class NamespaceRow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="namespace"):
    name: str
    exists: bool = True


class PodRow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="pod"):
    """A pod's addresses; held only where pod names are verified."""

    namespace: str
    name: str
    addresses: tuple[bytes, ...] = ()


class ServiceGone(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="no-service"):
    namespace: str
    name: str


class SliceGone(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="no-slice"):
    namespace: str
    service: str
    name: str


Row = ServiceRow | SliceRow | NamespaceRow | PodRow | ServiceGone | SliceGone


# A row as its taker wants it and as the watch holds it: as its bytes where that is another process, which
# takes less than half the room.
Held = Row | bytes

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Row)


def pack(row: Row) -> bytes:
    """The row as MessagePack."""
    return _encoder.encode(row)


def unpack(held: Held | msgspec.Raw) -> Row:
    """The row, however it is held."""
    return _decoder.decode(held) if isinstance(held, bytes | msgspec.Raw) else held


def share(row: Row) -> Row:
    """The same row with what many rows have in common held once; for rows that were just decoded."""
    if isinstance(row, ServiceRow):
        namespace, name = intern(row.namespace), intern(row.name)
        return ServiceRow(namespace, name, row.headless, row.addresses, _share_ports(row.ports), row.external_name)
    if isinstance(row, SliceRow):
        namespace, service = intern(row.namespace), intern(row.service)
        ports = _share_ports(row.ports)
        return SliceRow(namespace, service, row.name, row.addresses, row.hostnames, ports, row.targets)
    return row


@lru_cache(maxsize=4096)
def _share_ports(ports: tuple[Port, ...]) -> tuple[Port, ...]:
    return ports


def dashed(address: bytes) -> str:
    """The name of an endpoint that has no hostname: `10-0-0-1`, `fd00-10--1`; unique per address."""
    if len(address) == 4:
        return "-".join(map(str, address))
    text = str(ip_address(address)).replace(":", "-")
    # A label neither begins nor ends with a hyphen.
    return f"{'0' if text.startswith('-') else ''}{text}{'0' if text.endswith('-') else ''}"


def undashed(label: str) -> bytes | None:
    """The address that a dashed label spells, or None."""
    text = label.replace("-", ".") if label.count("-") == 3 and label.replace("-", "").isdigit() else ""
    try:
        return ip_address(text or label.replace("-", ":")).packed
    except ValueError:
        return None
