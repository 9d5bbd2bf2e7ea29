"""One port's plan -> its elements. The theory is in `layout.py`, the words in `words.py`."""

from collections.abc import Iterator
from typing import NamedTuple

from kubesvc.proxy.addresses import range_contains
from kubesvc.proxy.model import PROTOCOL_NUMBERS, PortPlan, Target
from kubesvc.proxy.nftables import words
from kubesvc.proxy.nftables.elements import ElementKey, Elements, Value
from kubesvc.proxy.nftables.slots import Slots, assign, number
from kubesvc.proxy.nftables.sticky import sticky_name
from kubesvc.proxy.nftables.words import Kind


class Lists(NamedTuple):
    """Where a port's endpoints sit: what has to be remembered from one compilation to the next."""

    cluster: Slots = ()
    local: Slots = ()
    numbers: Slots = ()


NO_LISTS = Lists()


def place(plan: PortPlan, previous: Lists) -> Lists:
    """Slots for the plan's endpoints, with as few moves as possible."""
    cluster = assign(previous.cluster, plan.cluster, words.MAX_SLOTS)
    local = assign(previous.local, plan.local, words.MAX_SLOTS)
    if not plan.service.affinity_seconds:
        return Lists(cluster, local)
    placed = dict.fromkeys(target for target in (*cluster, *local) if target is not None)
    return Lists(cluster, local, number(previous.numbers, placed, words.MAX_NUMBER))


def too_many(plan: PortPlan) -> str:
    """What is wrong with a plan whose lists are longer than any can be; "" if they are not."""
    longest = max(len(plan.cluster), len(plan.local))
    return f"only {words.MAX_SLOTS} of {longest} endpoints can be chosen" if longest > words.MAX_SLOTS else ""


def compile_port(plan: PortPlan, port_number: int, lists: Lists) -> dict[ElementKey, Value]:
    """All elements of one port; those that make it reachable come last."""
    elements: dict[ElementKey, Value] = {}
    for slots, local in ((lists.cluster, False), (lists.local, True)):
        if plan.service.affinity_seconds:
            elements.update(_affine_list(plan, port_number, slots, lists.numbers, local=local))
        else:
            elements.update(_list(plan, port_number, slots, local=local))
    for address in plan.hairpins:
        elements["hairpins", address, address] = None
    elements.update(_firewall(plan))
    elements.update(_addresses(plan, port_number, lists))
    return elements


def sticky_chains_in(elements: Elements) -> set[str]:
    """The affinity chains that elements refer to."""
    return {str(value) for key, value in elements.items() if key[0] == "sticky"}


def _list(plan: PortPlan, port_number: int, slots: Slots, *, local: bool) -> Iterator[tuple[ElementKey, Value]]:
    name, key = f"endpoints-{plan.name.protocol.lower()}", words.list_id(port_number, local=local)
    for slot, target in enumerate(slots):
        if target is not None:
            yield (name, key, slot), target


def _affine_list(
    plan: PortPlan, port_number: int, slots: Slots, numbers: Slots, *, local: bool
) -> Iterator[tuple[ElementKey, Value]]:
    if not slots:
        return
    bound, key = f"bound-{plan.name.protocol.lower()}", words.list_id(port_number, local=local)
    number_by_target: dict[Target | None, int] = {target: index + 1 for index, target in enumerate(numbers)}
    for slot, target in enumerate(slots):
        # Two full lists without a common endpoint have one more than there are numbers: the last one.
        if target in number_by_target and target is not None:
            yield ("choices", key, slot), words.endpoint_id(port_number, number_by_target[target])
            yield (bound, key | number_by_target[target]), target
    yield ("sticky", key), sticky_name(plan.service.affinity_seconds, len(slots), local=local)


def _firewall(plan: PortPlan) -> Iterator[tuple[ElementKey, Value]]:
    service = plan.service
    if not service.source_ranges:
        return
    protocol = PROTOCOL_NUMBERS[plan.name.protocol]
    for vip in service.load_balancer_ips:
        for cidr in service.source_ranges:
            yield ("allowed", vip, protocol, service.port, cidr), None
        if plan.allow_vip_sources and not any(range_contains(cidr, vip) for cidr in service.source_ranges):
            own = f"{vip}/{128 if ':' in vip else 32}"
            yield ("allowed", vip, protocol, service.port, own), None


def _addresses(plan: PortPlan, port_number: int, lists: Lists) -> Iterator[tuple[ElementKey, Value]]:
    service = plan.service
    protocol = PROTOCOL_NUMBERS[plan.name.protocol]
    internal, external = (_word(plan, port_number, lists, external=outside) for outside in (False, True))
    balanced = external | (words.FIREWALLED if service.source_ranges else 0)
    yield ("cluster-ips", service.cluster_ip), None
    yield ("services", service.cluster_ip, protocol, service.port), internal
    for vip in service.external_ips:
        yield ("services", vip, protocol, service.port), external
    for vip in service.load_balancer_ips:
        yield ("services", vip, protocol, service.port), balanced
    if service.node_port:
        yield ("node-ports", protocol, service.node_port), external


def _word(plan: PortPlan, port_number: int, lists: Lists, *, external: bool) -> int:
    local_policy = plan.service.external_local if external else plan.service.internal_local
    if external:
        kind = Kind.EXTERNAL_LOCAL if local_policy else Kind.EXTERNAL
    else:
        kind = Kind.INTERNAL_LOCAL if local_policy else Kind.INTERNAL
    nothing = words.DROP if plan.any_usable else words.REJECT
    return words.service_word(
        port_number,
        kind=kind,
        cluster=words.size_class(len(lists.cluster)) or nothing,
        local=words.size_class(len(lists.local)) or nothing,
        affinity=bool(plan.service.affinity_seconds),
    )
