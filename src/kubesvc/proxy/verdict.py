"""What became of a traced packet, and why, in words. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kubesvc.proxy.addresses import range_contains
from kubesvc.proxy.live import Counts
from kubesvc.proxy.model import PROTOCOL_NUMBERS, PortPlan, ServicePortName, Target
from kubesvc.proxy.trace import Note, Outcome, Packet, Verdict
from kubesvc.proxy.traffic import Direction, Traffic

_MANY = 4
"""From this many keys on, look-ups in one map are only counted."""


class Carried(NamedTuple):
    """Bytes of IP packets from clients, and back to them."""

    request: int
    response: int


class Candidate(NamedTuple):
    """An endpoint that the packet may go to."""

    target: Target
    share: float
    masqueraded: bool
    connections: int
    carried: Carried | None = None
    """None where the proxy counts no bytes, or this endpoint has carried none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything that is known about one packet on one node."""

    node: str
    backend: str
    packet: Packet
    verdict: str
    """`endpoints`, `reject`, `drop`, or `untouched`."""
    reason: str = ""
    owner: ServicePortName | None = None
    connections: int = 0
    carried: Carried | None = None
    """None where the proxy counts no bytes."""
    candidates: tuple[Candidate, ...] = ()
    path: tuple[Note, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def served(self) -> bool:
        return self.verdict == "endpoints"


@dataclass(slots=True)
class Case:
    """What there is to judge a packet by: the plans that concern its destination, and the node."""

    packet: Packet
    plans: Mapping[ServicePortName, PortPlan]
    node: str
    local_addresses: frozenset[str] = field(default_factory=frozenset)

    def owner(self) -> PortPlan | None:
        """The port that the packet is for, if any."""
        return next((plan for plan in self.plans.values() if self._addressed(plan)), None)

    def _addressed(self, plan: PortPlan) -> bool:
        packet, service = self.packet, plan.service
        if PROTOCOL_NUMBERS[plan.name.protocol] != packet.protocol:
            return False
        if packet.destination in service.addresses:
            return packet.port == service.port
        return packet.destination in self.local_addresses and packet.port == service.node_port

    def external(self, plan: PortPlan) -> bool:
        return self.packet.destination != plan.service.cluster_ip


def judge(
    case: Case,
    backend: str,
    outcomes: Mapping[Outcome, float],
    *,
    path: Iterable[Note],
    counts: Counts,
    differences: Iterable[str],
    traffic: Traffic | None = None,
) -> Answer:
    """Put together what the tracer found and what the plan says."""
    plan = case.owner()
    owner = plan.name if plan else None
    candidates = _candidates(outcomes, owner, counts, traffic or Traffic())
    verdict = "endpoints" if candidates else _worst(outcomes)
    return Answer(
        node=case.node,
        backend=backend,
        packet=case.packet,
        verdict=verdict,
        reason="" if candidates else explain(case, verdict),
        owner=owner,
        connections=counts.services.get(owner, 0) if owner else 0,
        carried=_carried(traffic.services.get((owner, way)) for way in Direction) if owner and traffic else None,
        candidates=tuple(candidates),
        path=tuple(path),
        differences=tuple(differences),
    )


def explain(case: Case, verdict: str) -> str:
    """Why a packet reaches no endpoint, in one sentence."""
    packet, plan = case.packet, case.owner()
    if plan is None:
        return _explain_unknown(case, verdict)
    service, who = plan.service, f"Service {plan.name}"
    if packet.destination in service.load_balancer_ips and service.source_ranges and not _allowed(plan, packet.source):
        return f"{who} lets only {', '.join(service.source_ranges)} in (loadBalancerSourceRanges), not {packet.source}"
    if not plan.any_usable:
        return f"{who} has no ready endpoints"
    external = case.external(plan)
    if (service.external_local if external else service.internal_local) and not plan.local:
        policy = "externalTrafficPolicy" if external else "internalTrafficPolicy"
        return f"{who} has {policy} Local and no ready endpoint on node {case.node}"
    return f"{who} has endpoints, but the rules in the kernel do not lead to them"


def render(answer: Answer) -> str:
    """The answer as a person reads it."""
    packet = answer.packet
    protocol = _protocol(packet.protocol)
    lines = [
        f"packet       {packet.source} -> {_at(packet.destination, packet.port)}/{protocol}, at node {answer.node}",
        f"service      {answer.owner or 'none has this address and port'}"
        + (f" ({answer.connections} connections{_bytes(answer.carried)} counted here)" if answer.owner else ""),
        f"verdict      {_verdict(answer)}",
    ]
    if answer.candidates:
        counted = any(each.carried for each in answer.candidates)
        head = "CONNECTIONS  BYTES TO IT   BYTES BACK" if counted else "CONNECTIONS"
        lines += ["", f"{'ENDPOINT':<26} {'SHARE':>7}  {'SOURCE SEEN':<12} {head}"]
        lines += [
            f"{_at(*each.target):<26} {each.share:>7.1%}  {'the node' if each.masqueraded else packet.source:<12} "
            f"{_numbers(each) if counted else each.connections}"
            for each in answer.candidates
        ]
    lines += ["", f"path through the live {answer.backend} rules"]
    lines += [f"  {line}" for line in _path(answer.path)]
    lines += ["", "kernel and API agree" if not answer.differences else "kernel and API differ"]
    lines += [f"  {line}" for line in answer.differences]
    return "\n".join(lines)


def document(answer: Answer) -> dict[str, object]:
    """The answer as JSON."""
    return {
        "node": answer.node,
        "backend": answer.backend,
        "source": answer.packet.source,
        "destination": _at(answer.packet.destination, answer.packet.port),
        "protocol": _protocol(answer.packet.protocol),
        "service": str(answer.owner) if answer.owner else None,
        "connections": answer.connections,
        "bytes": answer.carried and answer.carried._asdict(),
        "verdict": answer.verdict,
        "reason": answer.reason,
        "endpoints": [
            {
                "address": _at(*each.target),
                "share": round(each.share, 4),
                "masqueraded": each.masqueraded,
                "connections": each.connections,
                "bytes": each.carried and each.carried._asdict(),
            }
            for each in answer.candidates
        ],
        "path": [note._asdict() for note in answer.path],
        "agrees": not answer.differences,
        "differences": list(answer.differences),
    }


def _candidates(
    outcomes: Mapping[Outcome, float], owner: ServicePortName | None, counts: Counts, traffic: Traffic
) -> list[Candidate]:
    shares: dict[tuple[Target, bool], float] = {}
    for outcome, share in outcomes.items():
        if outcome.target is not None:
            key = (outcome.target, outcome.masqueraded)
            shares[key] = shares.get(key, 0.0) + share
    found = []
    for (target, masqueraded), share in sorted(shares.items()):
        counted = counts.endpoints.get((owner, target), 0) if owner else 0
        carried = _carried(traffic.endpoints.get((owner, target, way)) for way in Direction) if owner else None
        found.append(Candidate(target, share, masqueraded, counted, carried))
    return found


def _carried(numbers: Iterable[int | None]) -> Carried | None:
    """Requests' and responses' bytes; None if neither was counted."""
    request, response = numbers
    return None if request is response is None else Carried(request or 0, response or 0)


def _worst(outcomes: Iterable[Outcome]) -> str:
    verdicts = {outcome.verdict for outcome in outcomes}
    for verdict in (Verdict.REJECT, Verdict.DROP):
        if verdict in verdicts:
            return verdict.value
    return "untouched"


def _explain_unknown(case: Case, verdict: str) -> str:
    packet = case.packet
    here = _at(packet.destination, packet.port)
    same = sorted({f"{p.name.namespace}/{p.name.service}" for p in case.plans.values()
                   if packet.destination in p.service.addresses})  # fmt: skip
    if same:
        return f"Service {', '.join(same)} has no port {packet.port}/{_protocol(packet.protocol)}"
    if verdict == "untouched":
        return f"no Service has {here}: the packet is routed as it is"
    return f"no Service has the address {packet.destination}"


def _allowed(plan: PortPlan, source: str) -> bool:
    service = plan.service
    if plan.allow_vip_sources and source in service.load_balancer_ips:
        return True
    return any(range_contains(cidr, source) for cidr in service.source_ranges)


def _bytes(carried: Carried | None) -> str:
    return f", {carried.request} bytes to it and {carried.response} back" if carried else ""


def _numbers(candidate: Candidate) -> str:
    carried = candidate.carried or Carried(0, 0)
    return f"{candidate.connections:<11} {carried.request:>12} {carried.response:>12}"


def _verdict(answer: Answer) -> str:
    if answer.served:
        one = len(answer.candidates) == 1
        masquerade = {each.masqueraded for each in answer.candidates}
        how = {frozenset((True,)): "masqueraded", frozenset((False,)): "source kept"}.get(
            frozenset(masquerade), "masqueraded for some"
        )
        return f"goes to {'an endpoint' if one else f'one of {len(answer.candidates)} endpoints'}, {how}"
    words = {"reject": "rejected", "drop": "dropped"}.get(answer.verdict, answer.verdict)
    return f"{words}: {answer.reason}"


def _path(path: Iterable[Note]) -> Iterator[str]:
    """One line per rule that did something; many keys of one map are only counted."""
    groups: dict[tuple[str, str, str], list[Note]] = {}
    for note in path:
        groups.setdefault((note.hook.value, note.chain, note.what), []).append(note)
    last = ""
    for (hook, chain, what), notes in groups.items():
        if hook != last:
            yield hook
            last = hook
        if len(notes) > _MANY:
            hits = sum(note.found != "nothing" for note in notes)
            yield f"  {chain:<25} {what} looked up by {len(notes)} keys, {hits} found"
            continue
        for note in notes:
            found = f" -> {note.found}" if note.found else ""
            key = f" [{note.key}]" if note.key else ""
            yield f"  {chain:<25} {what}{key}{found}"


def _protocol(number: int) -> str:
    return next((name for name, value in PROTOCOL_NUMBERS.items() if value == number), str(number))


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
