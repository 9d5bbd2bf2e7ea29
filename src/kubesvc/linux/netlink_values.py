"""What rtnetlink's structures say: links, addresses, routes and rules as values, to and from bytes (rtnetlink(7))."""

import errno
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink_wire import NetlinkError, number, parse_attributes, text

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH = 28
RTM_GETRULE = 34

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 4, 5, 10, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL = 1, 2
IFA_F_NODAD = 0x2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_MULTIPATH, RTA_TABLE = 1, 4, 5, 6, 7, 9, 15
FRA_DST, FRA_IIFNAME, FRA_PRIORITY, FRA_TABLE = 1, 3, 6, 15
NDA_DST, NDA_LLADDR, NUD_PERMANENT = 1, 2, 0x80

IFF_UP = 0x1
TABLE_MAIN = 254
SCOPE_UNIVERSE, SCOPE_LINK = 0, 253
PROTOCOL_STATIC = 4
RTNH_F_ONLINK = 4

RouteKind = Literal["unicast", "local", "unreachable", "blackhole"]
ROUTE_KINDS: dict[str, int] = {"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7, "prohibit": 8}
KIND_NAMES = {value: name for name, value in ROUTE_KINDS.items()}

IFINFO = struct.Struct("=BxHiII")
IFADDR = struct.Struct("=BBBBI")
RTMSG = struct.Struct("=BBBBBBBBI")
RTNH = struct.Struct("=HBBi")
NDMSG = struct.Struct("=BxxxiHBB")


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


class Address(NamedTuple):
    """One address of a device; `address` is in prefix form, `10.0.0.1/24`."""

    link: str
    address: str


class Nexthop(NamedTuple):
    """One way of a multipath route."""

    via: str
    dev: str = ""
    weight: int = 1


class Route(NamedTuple):
    """One route; `dst` is `default` or a prefix."""

    dst: str
    kind: str = "unicast"
    via: str = ""
    dev: str = ""
    metric: int = 0
    src: str = ""
    table: int = TABLE_MAIN
    nexthops: tuple[Nexthop, ...] = ()


class Rule(NamedTuple):
    """One policy-routing rule."""

    priority: int
    action: str
    iif: str = ""
    to: str = ""
    table: int = 0


def link_options(address: str | None, mtu: int | None) -> list[tuple[int, wire.Payload]]:
    options: list[tuple[int, wire.Payload]] = []
    if address is not None:
        options.append((IFLA_ADDRESS, parse_mac(address)))
    if mtu is not None:
        options.append((IFLA_MTU, mtu))
    return options


def parse_mac(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def parse_address(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return family, socket.inet_pton(family, address)
    except OSError as err:
        raise NetlinkError(errno.EINVAL, f"address {address!r}") from err


def parse_prefix(prefix: str) -> tuple[int, bytes, int]:
    """Family, network bytes and length; a bare address is a prefix of its full length."""
    address, slash, length = prefix.partition("/")
    family, packed = parse_address(address)
    longest = len(packed) * 8
    if slash and not (length.isdecimal() and int(length) <= longest):
        raise NetlinkError(errno.EINVAL, f"prefix {prefix!r}")
    return family, packed, int(length) if slash else longest


def route_body(
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
        family, length = int(socket.AF_INET6 if via and ":" in via else socket.AF_INET), 0
    else:
        family, packed, length = parse_prefix(dst)
        attributes = [(RTA_DST, packed), *attributes]
    protocol = PROTOCOL_STATIC if kind and scope != 255 else 0
    flags = RTNH_F_ONLINK if onlink else 0
    code = ROUTE_KINDS[kind] if kind else 0
    head = RTMSG.pack(family, length, 0, 0, min(table, 252) if table > 255 else table, protocol, scope, code, flags)
    return head + wire.pack_attributes([*attributes, (RTA_TABLE, table)])


def parse_link(body: bytes) -> Link:
    index, flags = IFINFO.unpack_from(body)[2:4]
    attributes = parse_attributes(body[IFINFO.size :])
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


def parse_route(body: bytes, names: dict[int, str]) -> Route:
    family, length, _, _, table, _, _, kind, _ = RTMSG.unpack_from(body)
    attributes = parse_attributes(body[RTMSG.size :])

    def address(which: int) -> str:
        return socket.inet_ntop(family, attributes[which]) if which in attributes else ""

    index = number(attributes.get(RTA_OIF))
    return Route(
        dst=f"{address(RTA_DST)}/{length}" if RTA_DST in attributes else "default",
        kind=KIND_NAMES.get(kind, str(kind)),
        via=address(RTA_GATEWAY),
        dev=names.get(index, str(index)) if index else "",
        metric=number(attributes.get(RTA_PRIORITY)),
        src=address(RTA_PREFSRC),
        table=number(attributes.get(RTA_TABLE)) or table,
        nexthops=tuple(_parse_nexthops(attributes.get(RTA_MULTIPATH, b""), family, names)),
    )


def _parse_nexthops(data: bytes, family: int, names: dict[int, str]) -> list[Nexthop]:
    ways = []
    while len(data) >= RTNH.size:
        length, _, hops, index = RTNH.unpack_from(data)
        gateway = parse_attributes(data[RTNH.size : length]).get(RTA_GATEWAY)
        via = socket.inet_ntop(family, gateway) if gateway else ""
        ways.append(Nexthop(via, names.get(index, str(index)), hops + 1))
        data = data[(length + 3) & ~3 :]
    return ways


def parse_rule(body: bytes) -> Rule:
    family, length, _, _, table, _, _, action, _ = RTMSG.unpack_from(body)
    attributes = parse_attributes(body[RTMSG.size :])
    to = attributes.get(FRA_DST)
    return Rule(
        priority=number(attributes.get(FRA_PRIORITY)),
        action="table" if action == 1 else KIND_NAMES.get(action, str(action)),
        iif=text(attributes.get(FRA_IIFNAME)),
        to=f"{socket.inet_ntop(family, to)}/{length}" if to else "",
        table=number(attributes.get(FRA_TABLE)) or table,
    )
