"""The shared chains, what is always in them, and the jumps into them from the kernel's own chains."""

from kubesvc.proxy.addresses import range_contains
from kubesvc.proxy.iptables import names
from kubesvc.proxy.iptables.compile import Chain
from kubesvc.proxy.model import Family
from kubesvc.proxy.rules import RuleSettings


def _says(comment: str, chain: str, *, new: bool = False) -> str:
    state = "-m conntrack --ctstate NEW " if new else ""
    return f'{state}-m comment --comment "{comment}" -j {chain}'


_PORTALS = "kubernetes service portals"
_EXTERNAL = _says("kubernetes externally-visible service portals", names.EXTERNAL_SERVICES, new=True)
_GUARD = _says("kubernetes load balancer firewall", names.PROXY_FIREWALL, new=True)

JUMPS: tuple[tuple[str, str, str], ...] = (
    ("nat", "PREROUTING", _says(_PORTALS, names.SERVICES)),
    ("nat", "OUTPUT", _says(_PORTALS, names.SERVICES)),
    ("nat", "POSTROUTING", _says("kubernetes postrouting rules", names.POSTROUTING)),
    ("filter", "INPUT", _says("kubernetes health check service ports", names.NODEPORTS)),
    ("filter", "INPUT", _EXTERNAL),
    ("filter", "FORWARD", _says("kubernetes forwarding rules", names.FORWARD)),
    ("filter", "FORWARD", _says(_PORTALS, names.SERVICES, new=True)),
    ("filter", "OUTPUT", _says(_PORTALS, names.SERVICES, new=True)),
    ("filter", "FORWARD", _EXTERNAL),
    ("filter", "OUTPUT", _EXTERNAL),
    ("filter", "INPUT", _GUARD),
    ("filter", "OUTPUT", _GUARD),
    ("filter", "FORWARD", _GUARD),
    ("filter", "INPUT", f"-j {names.FIREWALL}"),
    ("filter", "OUTPUT", f"-j {names.FIREWALL}"),
)
"""Table, built-in chain and rule; each is put at the top in this order, so the last comes to be first."""

SHARED: tuple[Chain, ...] = (
    ("nat", names.SERVICES), ("nat", names.NODEPORTS), ("nat", names.POSTROUTING), ("nat", names.MARK_MASQ),
    ("filter", names.SERVICES), ("filter", names.EXTERNAL_SERVICES), ("filter", names.NODEPORTS),
    ("filter", names.FORWARD), ("filter", names.PROXY_FIREWALL), ("filter", names.FIREWALL),
    ("filter", names.CLUSTER_IPS), ("filter", names.REFUSE),
)  # fmt: skip


def fixed_rules(settings: RuleSettings, *, tcp_be_liberal: bool = False) -> dict[Chain, tuple[str, ...]]:
    """What stands at the end of each shared chain, whatever Services there are."""
    mark = f"{settings.mark:#x}"
    forwarding = '-m comment --comment "kubernetes forwarding rules"'
    invalid = () if tcp_be_liberal else ("-m conntrack --ctstate INVALID -j DROP",)
    return {
        ("nat", names.SERVICES): _node_port_jumps(settings),
        ("nat", names.MARK_MASQ): (f"-j MARK --set-xmark {mark}/{mark}",),
        ("nat", names.POSTROUTING): (
            f"-m mark ! --mark {mark}/{mark} -j RETURN",
            f"-j MARK --set-xmark {mark}/0x0",
            '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
        ),
        ("filter", names.FORWARD): (
            *invalid,
            f"{forwarding} -m mark --mark {mark}/{mark} -j ACCEPT",
            f"{forwarding} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ),
        ("filter", names.SERVICES): tuple(f"-d {cidr} -j {names.CLUSTER_IPS}" for cidr in settings.service_cidrs),
        ("filter", names.CLUSTER_IPS): ("-j DROP",),
        ("filter", names.REFUSE): (
            "-p tcp -j REJECT --reject-with tcp-reset",
            f"-j REJECT --reject-with {names.unreachable(settings.family)}",
        ),
        ("filter", names.FIREWALL): _anti_martian(settings),
    }


def _node_port_jumps(settings: RuleSettings) -> tuple[str, ...]:
    say = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
    here = "-m addrtype --dst-type LOCAL"
    if settings.nodeport_addresses is not None:
        # A range may hold addresses of others, too: what goes there is not ours.
        return tuple(
            f"-d {_with_bits(address)} {say} {here} -j {names.NODEPORTS}"
            for address in settings.nodeport_addresses
            if settings.localhost_nodeports or not range_contains(_loopback(settings), address.partition("/")[0])
        )
    not_loopback = "" if settings.localhost_nodeports else f"! -d {_loopback(settings)} "
    return (f"{not_loopback}{say} {here} -j {names.NODEPORTS}",)


def _anti_martian(settings: RuleSettings) -> tuple[str, ...]:
    """With route_localnet, 127.0.0.0/8 could be reached from outside; this closes it again."""
    if not settings.localhost_nodeports:
        return ()
    say = '-m comment --comment "block incoming localnet connections"'
    return (f"! -s 127.0.0.0/8 -d 127.0.0.0/8 {say} -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",)


def _with_bits(address: str) -> str:
    """As iptables-save shows a single address."""
    return address if "/" in address else f"{address}/{128 if ':' in address else 32}"


def _loopback(settings: RuleSettings) -> str:
    return "127.0.0.0/8" if settings.family is Family.IPV4 else "::1/128"
