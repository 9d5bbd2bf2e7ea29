"""Links, addresses, routes and rules through rtnetlink: typed, blocking, one socket, no subprocess.

An operation costs about the kernel's own time for it. Every error is a `NetlinkError` that names the
object. The structures are in `netlink_values`, the wire format in `netlink_wire`.
"""

import contextlib
import socket
from collections.abc import Iterable

from kubesvc.linux import netlink_values as nl
from kubesvc.linux import netlink_wire as wire
from kubesvc.linux.netlink_socket import NetlinkSocket
from kubesvc.linux.netlink_values import TABLE_MAIN, Address, Link, Nexthop, Route, RouteKind, Rule
from kubesvc.linux.netlink_wire import Attributes, Denied, Exists, Missing, NetlinkError, parse_attributes

__all__ = ["Address", "Denied", "Exists", "Link", "Missing", "NetlinkError", "Nexthop", "Route", "RouteSocket", "Rule"]


class RouteSocket(NetlinkSocket):
    """A NETLINK_ROUTE socket in a network namespace (this thread's, unless a descriptor of another is given)."""

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
        inside: list[tuple[int, wire.Payload]] = [(nl.IFLA_IFNAME, peer_name_inside or peer)]
        if peer_netns_fd is not None:
            inside.append((nl.IFLA_NET_NS_FD, peer_netns_fd))
        inside += nl.link_options(peer_address, mtu)
        # The peer attribute holds a bare ifinfomsg before its own attributes.
        peer_blob = nl.IFINFO.pack(0, 0, 0, 0, 0) + wire.pack_attributes(inside)
        info: Attributes = [
            (nl.IFLA_INFO_KIND, "veth"),
            (nl.IFLA_INFO_DATA, wire.pack_attributes([(nl.VETH_INFO_PEER | wire.NLA_F_NESTED, peer_blob)])),
        ]
        self._link_new(name, [*nl.link_options(address, mtu), (nl.IFLA_LINKINFO, info)])

    def link_add_bridge(self, name: str) -> None:
        """Make a bridge."""
        self._link_new(name, [(nl.IFLA_LINKINFO, [(nl.IFLA_INFO_KIND, "bridge")])])

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
        attributes: list[tuple[int, wire.Payload]] = [*nl.link_options(address, mtu)]
        if master is not None:
            attributes.append((nl.IFLA_MASTER, self._index(master) if master else 0))
        if netns_fd is not None:
            attributes.append((nl.IFLA_NET_NS_FD, netns_fd))
        if rename is not None:
            attributes.append((nl.IFLA_IFNAME, rename))
        flags, mask = (nl.IFF_UP if up else 0), (nl.IFF_UP if up is not None else 0)
        body = nl.IFINFO.pack(0, 0, self._index(name), flags, mask) + wire.pack_attributes(attributes)
        self.request(nl.RTM_SETLINK, 0, body, f"link {name}")

    def link_delete(self, name: str) -> None:
        """Remove a link (and a veth's peer with it). Idempotent."""
        body = nl.IFINFO.pack(0, 0, 0, 0, 0) + wire.pack_attributes([(nl.IFLA_IFNAME, name)])
        with contextlib.suppress(Missing):
            self.request(nl.RTM_DELLINK, 0, body, f"link {name}")

    def links(self) -> list[Link]:
        """All devices, by index."""
        return [nl.parse_link(body) for body in self.dump(nl.RTM_GETLINK, nl.IFINFO.pack(0, 0, 0, 0, 0), "links")]

    # Addresses

    def address_add(self, link: str, address: str) -> None:
        """Give `link` an address in prefix form; one that it has already is fine."""
        with contextlib.suppress(Exists):
            self._address(nl.RTM_NEWADDR, wire.NLM_F_CREATE | wire.NLM_F_EXCL, link, address)

    def addresses(self) -> list[Address]:
        """All IPv4 and IPv6 addresses of the namespace."""
        names = self._names()
        found = []
        for body in self.dump(nl.RTM_GETADDR, nl.IFADDR.pack(0, 0, 0, 0, 0), "addresses"):
            family, prefix, _, _, index = nl.IFADDR.unpack_from(body)
            attributes = parse_attributes(body[nl.IFADDR.size :])
            local = attributes.get(nl.IFA_LOCAL) or attributes[nl.IFA_ADDRESS]
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
            attributes.append((nl.RTA_MULTIPATH, b"".join(self._nexthop(way) for way in ways)))
        scope = nl.SCOPE_LINK if kind == "unicast" and not via and not ways else nl.SCOPE_UNIVERSE
        body = nl.route_body(dst, attributes, kind=kind, scope=scope, table=table, onlink=onlink, via=via)
        self.request(nl.RTM_NEWROUTE, wire.NLM_F_CREATE | wire.NLM_F_REPLACE, body, f"route {dst}")

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
            body = nl.route_body(dst, attributes, kind=kind, scope=255, table=table, onlink=False, via=via)
            self.request(nl.RTM_DELROUTE, 0, body, f"route {dst}")
        except Missing:
            pass

    def routes(self, *, table: int | None = TABLE_MAIN) -> list[Route]:
        """All routes of a table (of every table for None)."""
        names = self._names()
        bodies = self.dump(nl.RTM_GETROUTE, nl.RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), "routes")
        found = [nl.parse_route(body, names) for body in bodies]
        return [route for route in found if table is None or route.table == table]

    # Rules and neighbours

    def rules(self) -> list[Rule]:
        """The IPv4 policy-routing rules in order."""
        head = nl.RTMSG.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
        return [nl.parse_rule(body) for body in self.dump(nl.RTM_GETRULE, head, "rules")]

    def neighbour_replace(self, link: str, address: str, mac: str) -> None:
        """Pin the MAC address of a neighbour, so that it is never asked for by ARP or discovery."""
        family, packed = nl.parse_address(address)
        body = nl.NDMSG.pack(family, self._index(link), nl.NUD_PERMANENT, 0, 0)
        body += wire.pack_attributes([(nl.NDA_DST, packed), (nl.NDA_LLADDR, nl.parse_mac(mac))])
        self.request(nl.RTM_NEWNEIGH, wire.NLM_F_CREATE | wire.NLM_F_REPLACE, body, f"neighbour {address}")

    # The parts

    def _link_new(self, name: str, attributes: Attributes) -> None:
        body = nl.IFINFO.pack(0, 0, 0, 0, 0) + wire.pack_attributes([(nl.IFLA_IFNAME, name), *attributes])
        self.request(nl.RTM_NEWLINK, wire.NLM_F_CREATE | wire.NLM_F_EXCL, body, f"link {name}")

    def _address(self, kind: int, flags: int, link: str, address: str) -> None:
        family, packed, prefix = nl.parse_prefix(address)
        # Without duplicate detection an IPv6 address can be used at once; private links have nobody to clash with.
        options = nl.IFA_F_NODAD if family == socket.AF_INET6 else 0
        body = nl.IFADDR.pack(family, prefix, options, 0, self._index(link))
        body += wire.pack_attributes([(nl.IFA_LOCAL, packed), (nl.IFA_ADDRESS, packed)])
        self.request(kind, flags, body, f"address {address} of {link}")

    def _route_way(
        self, via: str | None, dev: str | None, metric: int | None, src: str | None
    ) -> list[tuple[int, wire.Payload]]:
        attributes: list[tuple[int, wire.Payload]] = []
        if via:
            attributes.append((nl.RTA_GATEWAY, nl.parse_address(via)[1]))
        if dev:
            attributes.append((nl.RTA_OIF, self._index(dev)))
        if metric is not None:
            attributes.append((nl.RTA_PRIORITY, metric))
        if src:
            attributes.append((nl.RTA_PREFSRC, nl.parse_address(src)[1]))
        return attributes

    def _nexthop(self, way: Nexthop) -> bytes:
        index = self._index(way.dev) if way.dev else 0
        gateway = wire.pack_attributes([(nl.RTA_GATEWAY, nl.parse_address(way.via)[1])])
        return nl.RTNH.pack(nl.RTNH.size + len(gateway), 0, way.weight - 1, index) + gateway

    def _index(self, name: str) -> int:
        body = nl.IFINFO.pack(0, 0, 0, 0, 0) + wire.pack_attributes([(nl.IFLA_IFNAME, name)])
        answer = self.request(nl.RTM_GETLINK, 0, body, f"link {name}", acknowledge=False)
        return int(nl.IFINFO.unpack_from(answer)[2])

    def _names(self) -> dict[int, str]:
        return {link.index: link.name for link in self.links()}
