"""The settings of one family that shape static rules, the same for every backend."""

from dataclasses import dataclass

from kubesvc.proxy.model import Family


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
