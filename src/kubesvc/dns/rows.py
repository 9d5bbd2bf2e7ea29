"""Objects parsed once into rows: what names need, and small enough to hand to another process.

A row is the whole of what the answering side ever learns about an object.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import repeat

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


_encoder = msgspec.msgpack.Encoder()
_any_decoder = msgspec.msgpack.Decoder(Row)
_service_decoder = msgspec.msgpack.Decoder(ServiceRow)
_slice_decoder = msgspec.msgpack.Decoder(SliceRow)


def pack(row: Row) -> bytes:
    """The row as MessagePack, as it travels and as it is held: that takes less than half the room."""
    return _encoder.encode(row)


def unpack(packed: bytes) -> Row:
    """The row that was packed."""
    row: Row = _any_decoder.decode(packed)
    return row


def unpack_service(packed: bytes) -> ServiceRow:
    """The Service's row that was packed."""
    return _service_decoder.decode(packed)


def unpack_slice(packed: bytes) -> SliceRow:
    """The slice's row that was packed."""
    return _slice_decoder.decode(packed)


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
