"""One port's plan -> its own chains and its lines in the shared ones.

nat KUBE-SERVICES      address:port        -> SVC, SVL, EXT or FW
nat KUBE-NODEPORTS     node port           -> EXT
nat KUBE-FW-…          allowed sources     -> EXT
nat KUBE-EXT-…         masquerade or not   -> SVC (cluster list) or SVL (local list)
nat KUBE-SVC-…, SVL-…  affinity, then a random one -> SEP
nat KUBE-SEP-…         hairpin mark where the endpoint may meet itself here, DNAT
filter …               REJECT without endpoints, DROP without local ones, source ranges

Rules are written in the words in which iptables-save shows them, so that most of what is read back
is the same text. Whatever can be left out of the chains of endpoints is: every rule that is added
makes the kernel walk through all that there are.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kubesvc.proxy.addresses import range_contains
from kubesvc.proxy.iptables import names
from kubesvc.proxy.model import Family, PortPlan, Target
from kubesvc.proxy.rules import RuleSettings

Chain = tuple[str, str]
"""A table and a chain's name."""
Say = Callable[[str], str]
"""A comment -> the match that carries it, with a blank at its end."""

_CERTAIN = 1 << 31


@dataclass(frozen=True, slots=True)
class PortRules:
    """The chains a port owns (all in nat), and its rules in shared chains."""

    chains: Mapping[str, tuple[str, ...]]
    entries: Mapping[Chain, tuple[str, ...]]

    def count(self) -> Counter[str]:
        """How many rules these are, by table."""
        numbers = Counter({"nat": sum(map(len, self.chains.values()))})
        for (table, _), lines in self.entries.items():
            numbers[table] += len(lines)
        return numbers


NO_RULES = PortRules({}, {})


def compile_port(plan: PortPlan, settings: RuleSettings, *, terse: bool = False) -> PortRules:
    """All rules of one port; with `terse`, those about single endpoints have no comments."""
    chains = dict(_own_chains(plan, settings, _say_nothing if terse else _say))
    entries: dict[Chain, list[str]] = {}
    for chain, rule in (*_internal_entries(plan), *_external_entries(plan), *_node_port_entries(plan)):
        entries.setdefault(chain, []).append(rule)
    return PortRules(chains, {chain: tuple(rules) for chain, rules in entries.items()})


def from_pods(settings: RuleSettings, *, negate: bool = False) -> str:
    """The match of packets that local pods sent (or did not); one CIDR or interface."""
    sign = "! " if negate else ""
    if settings.pods.interface:
        return f"{sign}-i {settings.pods.interface.replace('*', '+')}"
    return f"{sign}-s {settings.pods.cidrs[0]}"


def _own_chains(plan: PortPlan, settings: RuleSettings, say: Say) -> Iterator[tuple[str, tuple[str, ...]]]:
    name, service = plan.name, plan.service
    endpoints = {target: names.endpoint_chain(name, target) for target in plan.targets}
    for target, chain in endpoints.items():
        yield chain, tuple(_endpoint_rules(plan, target, chain, say))
    for targets, local in ((plan.cluster, False), (plan.local, True)):
        if targets:
            internal = service.internal_local is local
            rules = _internal_masquerade(plan, settings) if internal else []
            chosen = [endpoints[target] for target in targets]
            yield names.policy_chain(name, local=local), (*rules, *_choice(plan, targets, chosen, say))
    if service.external and (plan.cluster or plan.local):
        yield names.external_chain(name), tuple(_external_rules(plan, settings))
        if service.source_ranges and service.load_balancer_ips:
            yield names.firewall_chain(name), tuple(_firewall_rules(plan))


def _endpoint_rules(plan: PortPlan, target: Target, chain: str, say: Say) -> Iterator[str]:
    comment = say(str(plan.name))
    if target.ip in plan.hairpins:
        yield f"-s {target.ip}/{_bits(plan)} {comment}-j {names.MARK_MASQ}"
    recent = f"-m recent --set {_of_source(plan, chain)} " if plan.service.affinity_seconds else ""
    protocol = plan.name.protocol.lower()
    yield f"-p {protocol} {comment}{recent}-j DNAT --to-destination {names.destination(target)}"


def _choice(plan: PortPlan, targets: Sequence[Target], chains: Sequence[str], say: Say) -> Iterator[str]:
    if plan.service.affinity_seconds:
        for chain in chains:
            check = f"--rcheck --seconds {plan.service.affinity_seconds} --reap {_of_source(plan, chain)}"
            yield f"{say(str(plan.name))}-m recent {check} -j {chain}"
    for index, (chain, target) in enumerate(zip(chains, targets, strict=True)):
        left = len(chains) - index
        comment = say(f"{plan.name} -> {names.destination(target)}")
        yield f"{comment}{_one_in(left)}-j {chain}"


def _one_in(number: int) -> str:
    """The kernel keeps a probability as 31 bits; this is how iptables-save shows them."""
    if number == 1:
        return ""
    return f"-m statistic --mode random --probability {round(_CERTAIN / number) / _CERTAIN:.11f} "


def _of_source(plan: PortPlan, chain: str) -> str:
    mask = "255.255.255.255" if _bits(plan) == 32 else ":".join(["ffff"] * 8)
    return f"--name {chain} --mask {mask} --rsource"


def _internal_masquerade(plan: PortPlan, settings: RuleSettings) -> list[str]:
    to = f"-d {plan.service.cluster_ip}/{_bits(plan)} {_port_match(plan, plan.service.port)}"
    say = _say(f"{plan.name} cluster IP")
    if settings.masquerade_all:
        return [f"{to} {say}-j {names.MARK_MASQ}"]
    if settings.pods:
        return [f"{from_pods(settings, negate=True)} {to} {say}-j {names.MARK_MASQ}"]
    return []


def _external_rules(plan: PortPlan, settings: RuleSettings) -> Iterator[str]:
    cluster, local = (names.policy_chain(plan.name, local=local) for local in (False, True))
    if not plan.service.external_local:
        yield f"{_say(f'masquerade traffic for {plan.name} external destinations')}-j {names.MARK_MASQ}"
        yield f"-j {cluster}"
        return
    if plan.cluster:
        if settings.pods:
            say = _say(f"pod traffic for {plan.name} external destinations")
            yield f"{from_pods(settings)} {say}-j {cluster}"
        here = "-m addrtype --src-type LOCAL"
        yield f"{_say(f'masquerade LOCAL traffic for {plan.name} external destinations')}{here} -j {names.MARK_MASQ}"
        yield f"{_say(f'route LOCAL traffic for {plan.name} external destinations')}{here} -j {cluster}"
    if plan.local:
        yield f"-j {local}"


def _firewall_rules(plan: PortPlan) -> Iterator[str]:
    say, chain = _say(f"{plan.name} loadbalancer IP"), names.external_chain(plan.name)
    for source in _allowed(plan):
        yield f"-s {source} {say}-j {chain}"


def _allowed(plan: PortPlan) -> list[str]:
    service = plan.service
    own = [f"{vip}/{_bits(plan)}" for vip in service.load_balancer_ips] if plan.allow_vip_sources else []
    extra = [
        each for each in own if not any(range_contains(cidr, each.split("/")[0]) for cidr in service.source_ranges)
    ]
    return [*service.source_ranges, *extra]


def _internal_entries(plan: PortPlan) -> Iterator[tuple[Chain, str]]:
    service = plan.service
    to = f"-d {service.cluster_ip}/{_bits(plan)} {_port_match(plan, service.port)}"
    if plan.local if service.internal_local else plan.cluster:
        chain = names.policy_chain(plan.name, local=service.internal_local)
        yield ("nat", names.SERVICES), f"{to} {_say(f'{plan.name} cluster IP')}-j {chain}"
    else:
        yield ("filter", names.SERVICES), f"{to} {_refusal(plan, local=service.internal_local)}"
    yield ("filter", names.CLUSTER_IPS), f"-d {service.cluster_ip}/{_bits(plan)} -j {names.REFUSE}"


def _external_entries(plan: PortPlan) -> Iterator[tuple[Chain, str]]:
    service = plan.service
    for vip, kind in _external_addresses(plan):
        to = f"-d {vip}/{_bits(plan)} {_port_match(plan, service.port)}"
        guarded = bool(service.source_ranges) and kind == "loadbalancer"
        if plan.cluster or plan.local:
            chain = names.firewall_chain(plan.name) if guarded else names.external_chain(plan.name)
            yield ("nat", names.SERVICES), f"{to} {_say(f'{plan.name} {kind} IP')}-j {chain}"
            if guarded:
                say = _say(f"{plan.name} traffic not accepted by {chain}")
                yield ("filter", names.PROXY_FIREWALL), f"{to} {say}-j DROP"
        elif guarded:
            for source in _allowed(plan):
                yield ("filter", names.PROXY_FIREWALL), f"-s {source} {to} -j RETURN"
            yield ("filter", names.PROXY_FIREWALL), f"{to} {_say(f'{plan.name} source not allowed')}-j DROP"
        if _refuses_external(plan):
            yield ("filter", names.EXTERNAL_SERVICES), f"{to} {_refusal(plan, local=service.external_local)}"


def _node_port_entries(plan: PortPlan) -> Iterator[tuple[Chain, str]]:
    service = plan.service
    if service.node_port:
        to = _port_match(plan, service.node_port)
        if plan.cluster or plan.local:
            yield ("nat", names.NODEPORTS), f"{to} {_say(str(plan.name))}-j {names.external_chain(plan.name)}"
        if _refuses_external(plan):
            refusal = _refusal(plan, local=service.external_local)
            yield ("filter", names.EXTERNAL_SERVICES), f"{to} -m addrtype --dst-type LOCAL {refusal}"
    if service.health_check_node_port:
        say = _say(f"{plan.name.namespace}/{plan.name.service} health check node port")
        yield ("filter", names.NODEPORTS), f"-p tcp -m tcp --dport {service.health_check_node_port} {say}-j ACCEPT"


def _external_addresses(plan: PortPlan) -> list[tuple[str, str]]:
    service = plan.service
    return [
        *((vip, "external") for vip in service.external_ips),
        *((vip, "loadbalancer") for vip in service.load_balancer_ips),
    ]


def _refuses_external(plan: PortPlan) -> bool:
    return not (plan.local if plan.service.external_local else plan.cluster)


def _refusal(plan: PortPlan, *, local: bool) -> str:
    if plan.any_usable and local:
        return f"{_say(f'{plan.name} has no local endpoints')}-j DROP"
    # A reset reaches the client at once; ICMP errors are rate-limited by the kernel.
    how = "tcp-reset" if plan.name.protocol == "TCP" else names.unreachable(plan.service.family)
    return f"{_say(f'{plan.name} has no endpoints')}-j REJECT --reject-with {how}"


def _port_match(plan: PortPlan, port: int) -> str:
    protocol = plan.name.protocol.lower()
    return f"-p {protocol} -m {protocol} --dport {port}"


def _bits(plan: PortPlan) -> int:
    return 128 if plan.service.family is Family.IPV6 else 32


def _say(comment: str) -> str:
    return f'-m comment --comment "{comment}" '


def _say_nothing(_: str) -> str:
    return ""
