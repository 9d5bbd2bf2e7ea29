"""Links, addresses, routes and rules through rtnetlink: typed, blocking, one socket, no subprocess.

An operation costs about the kernel's own time for it. Every error is a `NetlinkError` that names the
object. The wire format is `netlink_wire`; the families' structures are in rtnetlink(7).
"""

import errno
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from kubesvc.linux import libc, netlink_wire as wire
from kubesvc.linux.netlink_wire import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Attributes,
    Denied,
    Exists,
    Missing,
    NetlinkError,
    number,
    parse_attributes,
    text,
)

__all__ = ["Address", "Denied", "Exists", "Link", "Missing", "NetlinkError", "Nexthop", "Route", "RouteSocket", "Rule"]

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH = 28
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 4, 5, 10, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_MULTIPATH, RTA_TABLE = 1, 4, 5, 6, 7, 9, 15
FRA_DST, FRA_IIFNAME, FRA_PRIORITY, FRA_TABLE = 1, 3, 6, 15
NDA_DST, NDA_LLADDR, NUD_PERMANENT = 1, 2, 0x80

IFF_UP = 0x1
TABLE_MAIN = 254
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_PROTOCOL_STATIC = 4
_RTNH_F_ONLINK = 4

RouteKind = Literal["unicast", "local", "unreachable", "blackhole"]
_ROUTE_KINDS: dict[str, int] = {"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7, "prohibit": 8}
_KIND_NAMES = {value: name for name, value in _ROUTE_KINDS.items()}

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
_RTNH = struct.Struct("=HBBi")
_NDMSG = struct.Struct("=BxxxiHBB")


@dataclass(frozen=True, slots=True)
class Link:
    """One network device of the namespace."""

    name: str
    index: int
    kind: str
    up: bool
    mtu: int
    address: str
    master: int


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a device; `address` is in prefix form, `10.0.0.1/24`."""

    link: str
    address: str


@dataclass(frozen=True, slots=True)
class Nexthop:
    """One way of a multipath route."""

    via: str
    dev: str = ""
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """One route; `dst` is `default` or a prefix."""

    dst: str
    kind: str = "unicast"
    via: str = ""
    dev: str = ""
    metric: int = 0
    src: str = ""
    table: int = TABLE_MAIN
    nexthops: tuple[Nexthop, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy-routing rule."""

    priority: int
    action: str
    iif: str = ""
    to: str = ""
    table: int = 0


class RouteSocket:
    """A NETLINK_ROUTE socket in a network namespace (this thread's, unless a descriptor of another is given)."""

    def __init__(self, netns: int | None = None) -> None:
        self._socket = _open_in(netns)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    # Links

    def link_add_veth(
        self,
        name: str,
        peer: str,
        *,
        peer_netns_fd: int | None = None,
        peer_name_inside: str | None = None,
        address: str | None = None,
        peer_address: str | None = None,
        mtu: int | None = None,
    ) -> None:
        """Make a veth pair; with `peer_netns_fd` the peer is born in that namespace, named `peer_name_inside`.

        `address` and `peer_address` are the MAC addresses to use instead of random ones.
        """
        inside: list[tuple[int, wire.Payload]] = [(IFLA_IFNAME, peer_name_inside or peer)]
        if peer_netns_fd is not None:
            inside.append((IFLA_NET_NS_FD, peer_netns_fd))
        inside += _link_options(peer_address, mtu)
        # The peer attribute holds a bare ifinfomsg before its own attributes.
        peer_blob = _IFINFO.pack(0, 0, 0, 0, 0) + wire.pack_attributes(inside)
        info: Attributes = [
            (IFLA_INFO_KIND, "veth"),
            (IFLA_INFO_DATA, wire.pack_attributes([(VETH_INFO_PEER | wire.NLA_F_NESTED, peer_blob)])),
        ]
        self._link_new(name, [*_link_options(address, mtu), (IFLA_LINKINFO, info)])

    def link_add_bridge(self, name: str) -> None:
        """Make a bridge."""
        self._link_new(name, [(IFLA_LINKINFO, [(IFLA_INFO_KIND, "bridge")])])

    def link_add_dummy(self, name: str) -> None:
        """Make a device that swallows what is sent to it."""
        self._link_new(name, [(IFLA_LINKINFO, [(IFLA_INFO_KIND, "dummy")])])

    def link_set(
        self,
        name: str,
        *,
        up: bool | None = None,
        master: str | None = None,
        netns_fd: int | None = None,
        rename: str | None = None,
        address: str | None = None,
        mtu: int | None = None,
    ) -> None:
        """Change what is given; `master=""` releases the link from its bridge."""
        attributes: list[tuple[int, wire.Payload]] = [*_link_options(address, mtu)]
        if master is not None:
            attributes.append((IFLA_MASTER, self._index(master) if master else 0))
        if netns_fd is not None:
            attributes.append((IFLA_NET_NS_FD, netns_fd))
        if rename is not None:
            attributes.append((IFLA_IFNAME, rename))
        flags, mask = (IFF_UP if up else 0), (IFF_UP if up is not None else 0)
        body = _IFINFO.pack(0, 0, self._index(name), flags, mask) + wire.pack_attributes(attributes)
        self._request(RTM_SETLINK, 0, body, f"link {name}")

    def link_delete(self, name: str) -> None:
        """Remove a link (and a veth's peer with it). Idempotent."""
        body = _IFINFO.pack(0, 0, 0, 0, 0) + wire.pack_attributes([(IFLA_IFNAME, name)])
        try:
            self._request(RTM_DELLINK, 0, body, f"link {name}")
        except Missing:
            pass

    def links(self) -> list[Link]:
        """All devices, by index."""
        return [_parse_link(body) for body in self._dump(RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0), "links")]

    def link_index(self, name: str) -> int:
        """The index of a device; Missing when there is none of that name."""
        return self._index(name)

    # Addresses

    def address_add(self, link: str, address: str) -> None:
        """Give `link` an address in prefix form; one that it has already is fine."""
        try:
            self._address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, link, address)
        except Exists:
            pass

    def address_delete(self, link: str, address: str) -> None:
        """Take an address from `link`. Idempotent."""
        try:
            self._address(RTM_DELADDR, 0, link, address)
        except Missing:
            pass

    def addresses(self) -> list[Address]:
        """All IPv4 and IPv6 addresses of the namespace."""
        names = self._names()
        found = []
        for body in self._dump(RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0), "addresses"):
            family, prefix, _, _, index = _IFADDR.unpack_from(body)
            attributes = parse_attributes(body[_IFADDR.size :])
            local = attributes.get(IFA_LOCAL) or attributes[IFA_ADDRESS]
            found.append(Address(names.get(index, str(index)), f"{socket.inet_ntop(family, local)}/{prefix}"))
        return found

    # Routes

    def route_replace(
        self,
        dst: str,
        *,
        via: str | None = None,
        dev: str | None = None,
        kind: RouteKind = "unicast",
        nexthops: Iterable[Nexthop] = (),
        metric: int | None = None,
        src: str | None = None,
        table: int = TABLE_MAIN,
        onlink: bool = False,
    ) -> None:
        """Put the route to `dst` (a prefix, an address, or `default`) in force, in place of one of equal metric.

        `onlink` trusts that `via` is a neighbour on `dev` although no route says so.
        """
        attributes = self._route_way(via, dev, metric, src)
        ways = tuple(nexthops)
        if ways:
            attributes.append((RTA_MULTIPATH, b"".join(self._nexthop(way) for way in ways)))
        scope = _SCOPE_LINK if kind == "unicast" and not via and not ways else _SCOPE_UNIVERSE
        body = _route_body(dst, attributes, kind=kind, scope=scope, table=table, onlink=onlink, via=via)
        self._request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body, f"route {dst}")

    def route_delete(
        self,
        dst: str,
        *,
        via: str | None = None,
        dev: str | None = None,
        kind: RouteKind | None = None,
        metric: int | None = None,
        table: int = TABLE_MAIN,
    ) -> None:
        """Remove the first route to `dst` that fits what is given. Idempotent."""
        try:
            attributes = self._route_way(via, dev, metric, None)
            # RT_SCOPE_NOWHERE (255) matches any scope on deletion.
            body = _route_body(dst, attributes, kind=kind, scope=255, table=table, onlink=False, via=via)
            self._request(RTM_DELROUTE, 0, body, f"route {dst}")
        except Missing:
            pass

    def routes(self, *, table: int | None = TABLE_MAIN) -> list[Route]:
        """All routes of a table (of every table for None)."""
        names = self._names()
        bodies = self._dump(RTM_GETROUTE, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), "routes")
        found = [_parse_route(body, names) for body in bodies]
        return [route for route in found if table is None or route.table == table]

    # Rules and neighbours

    def rule_add(
        self,
        *,
        priority: int,
        iif: str = "",
        to: str = "",
        table: int = 0,
        action: Literal["table", "blackhole", "unreachable", "prohibit"] = "table",
    ) -> None:
        """Add an IPv4 policy-routing rule; one that exists already is fine."""
        try:
            self._rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, priority, iif, to, table, action)
        except Exists:
            pass

    def rule_delete(self, *, priority: int, iif: str = "", to: str = "", table: int = 0) -> None:
        """Remove the first rule that fits what is given. Idempotent."""
        try:
            self._rule(RTM_DELRULE, 0, priority, iif, to, table, None)
        except Missing:
            pass

    def rules(self) -> list[Rule]:
        """The IPv4 policy-routing rules in order."""
        head = _RTMSG.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
        return [_parse_rule(body) for body in self._dump(RTM_GETRULE, head, "rules")]

    def neighbour_replace(self, link: str, address: str, mac: str) -> None:
        """Pin the MAC address of a neighbour, so that it is never asked for by ARP or discovery."""
        family, packed = _parse_address(address)
        body = _NDMSG.pack(family, self._index(link), NUD_PERMANENT, 0, 0)
        body += wire.pack_attributes([(NDA_DST, packed), (NDA_LLADDR, _parse_mac(mac))])
        self._request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body, f"neighbour {address}")

    # The parts

    def _link_new(self, name: str, attributes: Attributes) -> None:
        body = _IFINFO.pack(0, 0, 0, 0, 0) + wire.pack_attributes([(IFLA_IFNAME, name), *attributes])
        self._request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"link {name}")

    def _address(self, kind: int, flags: int, link: str, address: str) -> None:
        family, packed, prefix = _parse_prefix(address)
        body = _IFADDR.pack(family, prefix, 0, 0, self._index(link))
        body += wire.pack_attributes([(IFA_LOCAL, packed), (IFA_ADDRESS, packed)])
        self._request(kind, flags, body, f"address {address} of {link}")

    def _rule(self, kind: int, flags: int, priority: int, iif: str, to: str, table: int, action: str | None) -> None:
        attributes: list[tuple[int, wire.Payload]] = [(FRA_PRIORITY, priority)]
        if iif:
            attributes.append((FRA_IIFNAME, iif))
        prefix = 0
        if to:
            _, packed, prefix = _parse_prefix(to)
            attributes.append((FRA_DST, packed))
        if table:
            attributes.append((FRA_TABLE, table))
        verdict = 1 if action == "table" else _ROUTE_KINDS[action] if action else 0
        head = _RTMSG.pack(socket.AF_INET, prefix, 0, 0, min(table, 255), 0, 0, verdict, 0)
        self._request(kind, flags, head + wire.pack_attributes(attributes), f"rule {priority}")

    def _route_way(
        self, via: str | None, dev: str | None, metric: int | None, src: str | None
    ) -> list[tuple[int, wire.Payload]]:
        attributes: list[tuple[int, wire.Payload]] = []
        if via:
            attributes.append((RTA_GATEWAY, _parse_address(via)[1]))
        if dev:
            attributes.append((RTA_OIF, self._index(dev)))
        if metric is not None:
            attributes.append((RTA_PRIORITY, metric))
        if src:
            attributes.append((RTA_PREFSRC, _parse_address(src)[1]))
        return attributes

    def _nexthop(self, way: Nexthop) -> bytes:
        index = self._index(way.dev) if way.dev else 0
        gateway = wire.pack_attributes([(RTA_GATEWAY, _parse_address(way.via)[1])])
        return _RTNH.pack(_RTNH.size + len(gateway), 0, way.weight - 1, index) + gateway

    def _index(self, name: str) -> int:
        body = _IFINFO.pack(0, 0, 0, 0, 0) + wire.pack_attributes([(IFLA_IFNAME, name)])
        answer = self._request(RTM_GETLINK, 0, body, f"link {name}")
        return int(_IFINFO.unpack_from(answer)[2])

    def _names(self) -> dict[int, str]:
        return {link.index: link.name for link in self.links()}

    def _request(self, kind: int, flags: int, body: bytes, what: str) -> bytes:
        """Send one request; the body of its answer (b"" for a bare acknowledgement)."""
        self._sequence += 1
        flags |= 0 if kind == RTM_GETLINK else NLM_F_ACK
        self._socket.send(wire.pack_message(kind, flags, self._sequence, body))
        while True:
            for answer, _, sequence, data in wire.parse_messages(self._socket.recv(1 << 16)):
                if sequence != self._sequence:
                    continue
                if answer != wire.NLMSG_ERROR:
                    return data
                _raise_error(data, what)
                return b""

    def _dump(self, kind: int, body: bytes, what: str) -> list[bytes]:
        """All objects of a kind; asked again when the kernel says that they changed meanwhile."""
        while True:
            found, interrupted = self._dump_once(kind, body, what)
            if not interrupted:
                return found

    def _dump_once(self, kind: int, body: bytes, what: str) -> tuple[list[bytes], bool]:
        self._sequence += 1
        self._socket.send(wire.pack_message(kind, NLM_F_DUMP, self._sequence, body))
        found: list[bytes] = []
        interrupted = False
        while True:
            for answer, flags, sequence, data in wire.parse_messages(self._socket.recv(1 << 18)):
                if sequence != self._sequence:
                    continue
                interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                if answer == wire.NLMSG_DONE:
                    return found, interrupted
                if answer == wire.NLMSG_ERROR:
                    _raise_error(data, what)
                found.append(data)


def _open_in(netns: int | None) -> socket.socket:
    """A socket belongs for good to the namespace in which it was opened."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    if netns is None:
        opened = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    else:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc.setns(netns, libc.CLONE_NEWNET)
            try:
                opened = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
            finally:
                libc.setns(home, libc.CLONE_NEWNET)
        finally:
            os.close(home)
    opened.bind((0, 0))
    return opened


def _raise_error(data: bytes, what: str) -> None:
    code = -struct.unpack_from("=i", data)[0]
    if code:
        raise wire.parse_error(code, what)


def _link_options(address: str | None, mtu: int | None) -> list[tuple[int, wire.Payload]]:
    options: list[tuple[int, wire.Payload]] = []
    if address is not None:
        options.append((IFLA_ADDRESS, _parse_mac(address)))
    if mtu is not None:
        options.append((IFLA_MTU, mtu))
    return options


def _parse_mac(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _parse_address(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return family, socket.inet_pton(family, address)
    except OSError as err:
        raise NetlinkError(errno.EINVAL, f"address {address!r}") from err


def _parse_prefix(prefix: str) -> tuple[int, bytes, int]:
    """Family, network bytes and length; a bare address is a prefix of its full length."""
    address, slash, length = prefix.partition("/")
    family, packed = _parse_address(address)
    return family, packed, int(length) if slash else len(packed) * 8


def _route_body(
    dst: str,
    attributes: Sequence[tuple[int, wire.Payload]],
    *,
    kind: RouteKind | None,
    scope: int,
    table: int,
    onlink: bool,
    via: str | None,
) -> bytes:
    if dst == "default":
        family, length = (socket.AF_INET6 if via and ":" in via else socket.AF_INET), 0
    else:
        family, packed, length = _parse_prefix(dst)
        attributes = [(RTA_DST, packed), *attributes]
    protocol = _PROTOCOL_STATIC if kind and scope != 255 else 0
    flags = _RTNH_F_ONLINK if onlink else 0
    code = _ROUTE_KINDS[kind] if kind else 0
    head = _RTMSG.pack(family, length, 0, 0, min(table, 252) if table > 255 else table, protocol, scope, code, flags)
    return head + wire.pack_attributes([*attributes, (RTA_TABLE, table)])


def _parse_link(body: bytes) -> Link:
    index, flags = _IFINFO.unpack_from(body)[2:4]
    attributes = parse_attributes(body[_IFINFO.size :])
    info = parse_attributes(attributes.get(IFLA_LINKINFO, b""))
    return Link(
        name=text(attributes.get(IFLA_IFNAME)),
        index=index,
        kind=text(info.get(IFLA_INFO_KIND)),
        up=bool(flags & IFF_UP),
        mtu=number(attributes.get(IFLA_MTU)),
        address=attributes.get(IFLA_ADDRESS, b"").hex(":"),
        master=number(attributes.get(IFLA_MASTER)),
    )


def _parse_route(body: bytes, names: dict[int, str]) -> Route:
    family, length, _, _, table, _, _, kind, _ = _RTMSG.unpack_from(body)
    attributes = parse_attributes(body[_RTMSG.size :])

    def address(which: int) -> str:
        return socket.inet_ntop(family, attributes[which]) if which in attributes else ""

    index = number(attributes.get(RTA_OIF))
    return Route(
        dst=f"{address(RTA_DST)}/{length}" if RTA_DST in attributes else "default",
        kind=_KIND_NAMES.get(kind, str(kind)),
        via=address(RTA_GATEWAY),
        dev=names.get(index, str(index)) if index else "",
        metric=number(attributes.get(RTA_PRIORITY)),
        src=address(RTA_PREFSRC),
        table=number(attributes.get(RTA_TABLE)) or table,
        nexthops=tuple(_parse_nexthops(attributes.get(RTA_MULTIPATH, b""), family, names)),
    )


def _parse_nexthops(data: bytes, family: int, names: dict[int, str]) -> list[Nexthop]:
    ways = []
    while len(data) >= _RTNH.size:
        length, _, hops, index = _RTNH.unpack_from(data)
        gateway = parse_attributes(data[_RTNH.size : length]).get(RTA_GATEWAY)
        via = socket.inet_ntop(family, gateway) if gateway else ""
        ways.append(Nexthop(via, names.get(index, str(index)), hops + 1))
        data = data[(length + 3) & ~3 :]
    return ways


def _parse_rule(body: bytes) -> Rule:
    family, length, _, _, table, _, _, action, _ = _RTMSG.unpack_from(body)
    attributes = parse_attributes(body[_RTMSG.size :])
    to = attributes.get(FRA_DST)
    return Rule(
        priority=number(attributes.get(FRA_PRIORITY)),
        action="table" if action == 1 else _KIND_NAMES.get(action, str(action)),
        iif=text(attributes.get(FRA_IIFNAME)),
        to=f"{socket.inet_ntop(family, to)}/{length}" if to else "",
        table=number(attributes.get(FRA_TABLE)) or table,
    )
