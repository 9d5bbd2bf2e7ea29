"""What pods ask for and nodes have: CPU, memory and whatever else requests name, and pods themselves."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from kubesvc.api.quantity import parse_quantity
from kubesvc.api.views import Container, Node, Pod

Amounts = Mapping[str, Fraction]


def requests(pod: Pod) -> Amounts:
    """The pod's requests: the sum of its containers and sidecars, or its largest init container if that is more."""
    running: dict[str, Fraction] = {}
    for container in pod.spec.containers:
        _add(running, _requests(container))
    peak: dict[str, Fraction] = {}
    for container in pod.spec.init_containers or ():
        if container.restart_policy == "Always":
            _add(running, _requests(container))
        else:
            for name, amount in _requests(container).items():
                peak[name] = max(amount, peak.get(name, Fraction(0)))
    return {name: max(running.get(name, Fraction(0)), peak.get(name, Fraction(0))) for name in {*running, *peak}}


def insufficient(pod: Pod, node: Node, used: Iterable[Amounts], count: int) -> list[str]:
    """The reasons, in upstream's words, why the node has no room; what a node does not state is not limited."""
    allocatable = node.status.allocatable or {}
    reasons = []
    room_for_pods = _amount(allocatable.get("pods"))
    if room_for_pods is not None and count + 1 > room_for_pods:
        reasons.append("Too many pods")
    wanted = {name: amount for name, amount in requests(pod).items() if amount}
    if not wanted:
        return reasons
    totals: dict[str, Fraction] = {}
    for amounts in used:
        _add(totals, amounts)
    for name, amount in sorted(wanted.items()):
        room = _room(name, allocatable)
        if room is not None and totals.get(name, Fraction(0)) + amount > room:
            reasons.append(f"Insufficient {name}")
    return reasons


def _room(name: str, allocatable: Mapping[str, Any]) -> Fraction | None:
    if name in allocatable:
        return _amount(allocatable[name])
    return None if name in ("cpu", "memory", "ephemeral-storage") else Fraction(0)


def _requests(container: Container) -> Amounts:
    given = (container.resources.requests if container.resources else None) or {}
    return {name: amount for name, text in given.items() if (amount := _amount(text)) is not None}


def _amount(text: Any) -> Fraction | None:
    """None for what is no quantity: a server does not let it in, and one bad pod must not stop the others."""
    try:
        return parse_quantity(text).value
    except ValueError:
        return None


def _add(totals: dict[str, Fraction], amounts: Amounts) -> None:
    for name, amount in amounts.items():
        totals[name] = totals.get(name, Fraction(0)) + amount
