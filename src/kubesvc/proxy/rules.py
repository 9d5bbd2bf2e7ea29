"""The settings of one family that shape static rules, the same for every backend."""

from collections.abc import Iterable
from dataclasses import dataclass

from kubesvc.api import views
from kubesvc.proxy.addresses import canonical, canonical_range, collapse_ranges, family_of, range_contains
from kubesvc.proxy.model import Family
from kubesvc.proxy.options import LocalDetector, Mode, ProxyOptions


@dataclass(frozen=True, slots=True)
class PodSource:
    """How a packet that a local pod sent is recognised; all empty: it is not."""

    cidrs: tuple[str, ...] = ()
    interface: str = ""
    """An interface name, or a prefix of one that ends in `*`."""

    def __bool__(self) -> bool:
        return bool(self.cidrs or self.interface)


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """What the static part of a ruleset is made from."""

    family: Family
    pods: PodSource = PodSource()
    service_cidrs: tuple[str, ...] = ()
    nodeport_addresses: tuple[str, ...] | None = None
    """Addresses or CIDRs on which node ports answer; None: every local address."""
    masquerade_all: bool = False
    mark: int = 0x4000
    localhost_nodeports: bool = False


def rule_settings(
    options: ProxyOptions, family: Family, node: views.Node | None, more_cidrs: tuple[str, ...] = ()
) -> RuleSettings:
    """The settings of one family on a node; a node not yet known answers on every local address.

    `more_cidrs` are ranges of Services beyond those that the options name.
    """
    return RuleSettings(
        family=family,
        pods=_pod_source(options, family, node),
        service_cidrs=_ranges((*options.service_cidrs, *more_cidrs), family),
        nodeport_addresses=_nodeport_addresses(options, family, node),
        masquerade_all=options.masquerade_all,
        mark=1 << options.masquerade_bit,
        localhost_nodeports=family is Family.IPV4 and loopback_node_ports(options),
    )


def _pod_source(options: ProxyOptions, family: Family, node: views.Node | None) -> PodSource:
    match options.detect_local:
        case LocalDetector.CLUSTER_CIDR:
            return PodSource(cidrs=_ranges(options.cluster_cidr.split(","), family))
        case LocalDetector.NODE_CIDR:
            cidrs = (node.spec.pod_cidrs or (node.spec.pod_cidr,)) if node else ()
            return PodSource(cidrs=_ranges(cidrs, family))
        case LocalDetector.BRIDGE_INTERFACE:
            return PodSource(interface=options.pod_bridge)
        case LocalDetector.INTERFACE_NAME_PREFIX:
            return PodSource(interface=f"{options.pod_interface_prefix}*")


PRIMARY, LOCALHOST, ALL = "primary", "localhost", "all"
KEYWORDS = frozenset((PRIMARY, LOCALHOST, ALL))
"""What `--nodeport-addresses` may name instead of a CIDR."""

_SINGLE = {Family.IPV4: "/32", Family.IPV6: "/128"}
_LOOPBACK = {Family.IPV4: "127.0.0.0/8", Family.IPV6: "::1/128"}


def _nodeport_addresses(options: ProxyOptions, family: Family, node: views.Node | None) -> tuple[str, ...] | None:
    """The ranges of node ports' addresses; None for all, which is also meant where this family has none."""
    wanted = options.nodeport_addresses or ((PRIMARY,) if options.mode == Mode.NFTABLES else (ALL,))
    if ALL in wanted:
        return None
    own = primary_address(node, family, options.bind_address)
    keywords = {PRIMARY: own, LOCALHOST: _LOOPBACK[family]}
    ranges = collapse_ranges(_ranges([keywords.get(word, word) for word in wanted], family))
    if not ranges or ranges[0].endswith("/0"):
        return None
    return tuple(cidr.removesuffix(_SINGLE[family]) for cidr in ranges)


def loopback_node_ports(options: ProxyOptions) -> bool:
    """Whether node ports are asked for on 127.0.0.0/8, which only the iptables mode can have."""
    if options.mode != Mode.IPTABLES or not options.localhost_nodeports:
        return False
    wanted = options.nodeport_addresses or (ALL,)
    ranges = _ranges([_LOOPBACK[Family.IPV4] if word == LOCALHOST else word for word in wanted], Family.IPV4)
    if ALL in wanted or not (ranges or PRIMARY in wanted):
        return True
    return any(
        range_contains(_LOOPBACK[Family.IPV4], cidr.partition("/")[0]) or range_contains(cidr, "127.0.0.0")
        for cidr in ranges
    )


def primary_address(node: views.Node | None, family: Family, override: str = "") -> str:
    """The address by which a node is known in a family, "" if none is; internal ones come first."""
    if canonical(override, family) not in (None, "0.0.0.0", "::"):
        return canonical(override, family) or ""
    stated = node.status.addresses or () if node else ()
    for kind in ("InternalIP", "ExternalIP"):
        for entry in stated:
            if entry.type == kind and (address := canonical(entry.address, family)):
                return address
    return ""


def primary_family(node: views.Node | None, override: str = "") -> Family:
    """The family of the node's first address, IPv4 where none is known; an address of `override` goes before."""
    if override not in ("", "0.0.0.0", "::") and (family := family_of(override)):
        return family
    stated = node.status.addresses or () if node else ()
    for kind in ("InternalIP", "ExternalIP"):
        for entry in stated:
            if entry.type == kind and (family := family_of(entry.address)):
                return family
    return Family.IPV4


def health_hosts(settings: Iterable[RuleSettings], local: Iterable[str]) -> tuple[str, ...] | None:
    """The local addresses on which health-check ports answer, None for all: where node ports do."""
    ranges = [each.nodeport_addresses for each in settings]
    if None in ranges:
        return None
    return tuple(sorted({address for address in local for cidrs in ranges for cidr in cidrs or ()
                         if range_contains(cidr, address)}))  # fmt: skip


def node_addresses(node: views.Node | None, family: Family) -> tuple[str, ...]:
    """The node's own addresses of this family, as its status states them, sorted."""
    stated = node.status.addresses or () if node else ()
    found = {canonical(entry.address, family) for entry in stated if entry.type in ("InternalIP", "ExternalIP")}
    return tuple(sorted(address for address in found if address))


def _ranges(texts: tuple[str, ...] | list[str], family: Family) -> tuple[str, ...]:
    ranges = (canonical_range(text, family) for text in texts if text.strip())
    return tuple(dict.fromkeys(cidr for cidr in ranges if cidr))
