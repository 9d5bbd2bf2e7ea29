"""What a pod would get for a name, step by step, and which object each record came from."""

from typing import NamedTuple

from kubesvc.dns import wire
from kubesvc.dns.lookup import Finding, find
from kubesvc.dns.records import Record, record_text
from kubesvc.dns.view import View
from kubesvc.dns.wire import Type

NDOTS = 5


class Step(NamedTuple):
    """One name that the pod's resolver tries, and what it is told."""

    name: str
    outcome: str  # NOERROR, NODATA, NXDOMAIN, or OUTSIDE for a name that only an upstream knows
    records: tuple[Record, ...] = ()


class Explanation(NamedTuple):
    """Every step in order; the last one decides."""

    steps: tuple[Step, ...]

    @property
    def records(self) -> tuple[Record, ...]:
        return self.steps[-1].records


def explain(view: View, name: str, qtype: int, namespace: str) -> Explanation:
    """Walk the search list that the kubelet writes for a pod in `namespace` (ndots:5).

    A name that ends in a dot is asked as it is. Raises BadName for text that is no name.
    """
    steps = []
    for candidate in candidates(name, namespace, view.policy.domain):
        finding = find(view, wire.name_from_text(candidate), qtype)
        steps.append(Step(candidate, _outcome(finding), finding.records))
        if finding.records or finding.chase:
            break
    return Explanation(tuple(steps))


def candidates(name: str, namespace: str, domain: str) -> list[str]:
    """The full names tried, in order."""
    if name.endswith("."):
        return [name]
    searched = [f"{name}.{suffix}." for suffix in (f"{namespace}.svc.{domain}", f"svc.{domain}", domain)]
    return [f"{name}.", *searched] if name.count(".") >= NDOTS else [*searched, f"{name}."]


def _outcome(finding: Finding) -> str:
    if not finding.zone or finding.chase:
        return "OUTSIDE" if not finding.records else "NOERROR"
    if finding.records:
        return "NOERROR"
    return "NODATA" if finding.exists else "NXDOMAIN"


def explanation_lines(explanation: Explanation) -> list[str]:
    """As zone-file lines: a comment per name tried, then the records with their objects."""
    lines = [f"; {step.name} {step.outcome}" for step in explanation.steps]
    for record in explanation.records:
        text = record_text(record)
        lines.append(f"{text}\t; {record.source}" if record.source else text)
    last = explanation.records[-1] if explanation.records else None
    if last is not None and last.type == Type.CNAME:
        lines.append(f"; {wire.name_to_text(last.rdata)} lies outside of the cluster, or has no such records")
    return lines
