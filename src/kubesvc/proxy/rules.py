"""The settings of one family that shape static rules, the same for every backend."""

from dataclasses import dataclass

from kubesvc.api import views
from kubesvc.proxy.addresses import canonical, canonical_range
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
        localhost_nodeports=options.localhost_nodeports and family is Family.IPV4,
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


def _nodeport_addresses(options: ProxyOptions, family: Family, node: views.Node | None) -> tuple[str, ...] | None:
    wanted = options.nodeport_addresses or (("primary",) if options.mode == Mode.NFTABLES else ())
    if not wanted:
        return None
    if "primary" in wanted:
        return node_addresses(node, family) or None
    ranges = _ranges(wanted, family)
    return None if any(cidr.endswith("/0") for cidr in ranges) else ranges


def node_addresses(node: views.Node | None, family: Family) -> tuple[str, ...]:
    """The node's own addresses of this family, as its status states them, sorted."""
    stated = node.status.addresses or () if node else ()
    found = {canonical(entry.address, family) for entry in stated if entry.type in ("InternalIP", "ExternalIP")}
    return tuple(sorted(address for address in found if address))


def _ranges(texts: tuple[str, ...] | list[str], family: Family) -> tuple[str, ...]:
    ranges = (canonical_range(text, family) for text in texts if text.strip())
    return tuple(dict.fromkeys(cidr for cidr in ranges if cidr))
