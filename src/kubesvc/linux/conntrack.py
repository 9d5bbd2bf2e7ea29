"""Connection tracking over ctnetlink: list one protocol's flows, delete single ones."""

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink_wire import Missing, NetlinkError, parse_attributes
from kubesvc.linux.nfnetlink import Message, NfnetlinkSocket

_GET, _DELETE = (1 << 8 | command for command in (1, 2))
_TUPLE_ORIG, _TUPLE_REPLY, _STATUS, _FILTER, _STATUS_MASK = 1, 2, 3, 25, 26
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_PROTO_NUMBER, _PROTO_SOURCE_PORT, _PROTO_PORT = 1, 2, 3
_FILTER_BY_PROTOCOL = 1 << 3
_SEEN_REPLY, _TRANSLATED = 1 << 1, 1 << 5  # IPS_SEEN_REPLY, IPS_DST_NAT


class Flow(NamedTuple):
    """One flow: whom the client addressed, who answers, and the tuple that names it to the kernel."""

    destination: str
    destination_port: int
    reply_source: str
    reply_source_port: int
    tuple: bytes


class ConntrackSocket:
    """Flows of the current network namespace in one address family ("ip" or "ip6")."""

    def __init__(self, family: str) -> None:
        self._socket = NfnetlinkSocket()
        self._family = socket.AF_INET if family == "ip" else socket.AF_INET6

    def close(self) -> None:
        self._socket.close()

    def flows(self, protocol: int) -> Iterator[Flow]:
        """All flows of a protocol. Flows that come or go meanwhile may be missing."""
        return self._flows(protocol, without=0)

    def unanswered(self, protocol: int) -> Iterator[Flow]:
        """Flows of a protocol that go where the client sent them and had no answer yet."""
        return self._flows(protocol, without=_SEEN_REPLY | _TRANSLATED)

    def _flows(self, protocol: int, *, without: int) -> Iterator[Flow]:
        try:
            yield from self._list(protocol, _protocol_filter(protocol) + _status_filter(without), without)
        except Missing:
            raise
        except NetlinkError:
            yield from self._list(protocol, b"", without)  # kernels before 5.8 cannot filter

    def delete(self, flow: Flow) -> bool:
        """Delete one flow; False if it is gone already."""
        body = wire.pack_attributes([(_TUPLE_ORIG | wire.NLA_F_NESTED, flow.tuple)])
        try:
            self._socket.request(Message(_DELETE, wire.NLM_F_ACK, self._family, body), "conntrack flow")
        except Missing:
            return False
        return True

    def _list(self, protocol: int, body: bytes, without: int) -> Iterator[Flow]:
        for attributes in self._socket.dump(Message(_GET, 0, self._family, body), "conntrack"):
            flow = self._parse(attributes, protocol, without)
            if flow is not None:
                yield flow

    def _parse(self, data: bytes, protocol: int, without: int) -> Flow | None:
        attributes = parse_attributes(data)
        if without and struct.unpack(">I", attributes[_STATUS])[0] & without:
            return None
        original, reply = (parse_attributes(attributes[kind]) for kind in (_TUPLE_ORIG, _TUPLE_REPLY))
        ports, reply_ports = (parse_attributes(tuple_[_TUPLE_PROTO]) for tuple_ in (original, reply))
        if ports[_PROTO_NUMBER][0] != protocol:
            return None
        return Flow(
            self._address(original[_TUPLE_IP], source=False),
            struct.unpack(">H", ports[_PROTO_PORT])[0],
            self._address(reply[_TUPLE_IP], source=True),
            struct.unpack(">H", reply_ports[_PROTO_SOURCE_PORT])[0],
            attributes[_TUPLE_ORIG],
        )

    def _address(self, data: bytes, *, source: bool) -> str:
        first = 1 if self._family == socket.AF_INET else 3
        return socket.inet_ntop(self._family, parse_attributes(data)[first if source else first + 1])


def _protocol_filter(protocol: int) -> bytes:
    return wire.pack_attributes(
        [
            (_TUPLE_ORIG, [(_TUPLE_PROTO, [(_PROTO_NUMBER, bytes([protocol]))])]),
            (_FILTER, [(1, _FILTER_BY_PROTOCOL), (2, 0)]),
        ]
    )


def _status_filter(without: int) -> bytes:
    """Kernels before 5.15 do not look at it."""
    if not without:
        return b""
    return wire.pack_attributes([(_STATUS, struct.pack(">I", 0)), (_STATUS_MASK, struct.pack(">I", without))])
