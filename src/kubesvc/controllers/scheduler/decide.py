"""Where a pod goes: filter the nodes, then spread siblings, then balance, or say why none will do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubesvc.api.resources import PODS
from kubesvc.api.times import time_text
from kubesvc.api.views import Node, Pod, PodCondition, Taint
from kubesvc.controllers.changes import Change, Create, Note, Patch, Tell
from kubesvc.controllers.meta import controller_of, key_of, plain, reference
from kubesvc.controllers.nodelifecycle import UNSCHEDULABLE, ready_status, tolerates
from kubesvc.controllers.pods import condition, is_over
from kubesvc.controllers.scheduler.affinity import matches_node, preference
from kubesvc.controllers.scheduler.capacity import Amounts, insufficient, requests

DEFAULT_SCHEDULER = "default-scheduler"
_NOT_READY = Taint(key="node.kubernetes.io/not-ready", effect="NoSchedule")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node and the pods that are, or are about to be, on it."""

    node: Node
    pods: Sequence[Pod]


@dataclass(frozen=True, slots=True)
class Decision:
    """The node's name, or the sentence that says why there is none."""

    node: str | None
    message: str = ""


def is_ours(pod: Pod) -> bool:
    """Whether this scheduler is to find a node for the pod."""
    return (
        not pod.spec.node_name
        and pod.spec.scheduler_name in ("", DEFAULT_SCHEDULER)
        and pod.metadata.deletion_timestamp is None
        and not is_over(pod)
    )


def decide(pod: Pod, candidates: Sequence[Candidate], usage: Mapping[str, Amounts]) -> Decision:
    """Choose a node; `usage` caches the requests of pods by uid."""
    reasons: dict[str, int] = {}
    fitting = []
    for candidate in candidates:
        against = objections(pod, candidate, usage)
        for reason in against:
            reasons[reason] = reasons.get(reason, 0) + 1
        if not against:
            fitting.append(candidate)
    if fitting:
        return Decision(min(fitting, key=lambda candidate: _cost(pod, candidate)).node.metadata.name)
    if not candidates:
        return Decision(None, "no nodes available to schedule pods")
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return Decision(None, f"0/{len(candidates)} nodes are available: {listed}.")


def objections(pod: Pod, candidate: Candidate, usage: Mapping[str, Amounts]) -> list[str]:
    """Why the pod cannot go there: the first filter that says no, as upstream reports it."""
    node = candidate.node
    if node.spec.unschedulable and not _tolerated(pod, Taint(key=UNSCHEDULABLE, effect="NoSchedule")):
        return ["node(s) were unschedulable"]
    taint = next((found for found in _taints(node) if not _tolerated(pod, found)), None)
    if taint is not None:
        return [f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"]
    if not matches_node(pod, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    staying = [other for other in candidate.pods if not is_over(other)]
    if _ports_taken(pod, staying):
        return ["node(s) didn't have free ports for the requested pod ports"]
    used = [usage.get(other.metadata.uid) or requests(other) for other in staying]
    return insufficient(pod, node, used, len(staying))


def _taints(node: Node) -> Iterable[Taint]:
    yield from (taint for taint in node.spec.taints or () if taint.effect in ("NoSchedule", "NoExecute"))
    # The taint of a node that has just come or become not ready may be a moment late.
    if ready_status(node) != "True":
        yield _NOT_READY


def _tolerated(pod: Pod, taint: Taint) -> bool:
    return any(tolerates(toleration, taint) for toleration in pod.spec.tolerations or ())


def _ports_taken(pod: Pod, others: Iterable[Pod]) -> bool:
    wanted = _host_ports(pod)
    return bool(wanted) and any(wanted & _host_ports(other) for other in others)


def _host_ports(pod: Pod) -> set[tuple[str, int]]:
    ports = (port for container in pod.spec.containers for port in container.ports or ())
    return {
        (port.protocol, port.host_port or port.container_port)
        for port in ports
        if port.host_port or pod.spec.host_network
    }


def _cost(pod: Pod, candidate: Candidate) -> tuple[int, int, int, str]:
    """Nodes with the fewest siblings first, then the most preferred, then the emptiest, then by name."""
    owner = controller_of(pod.metadata)
    present = [other for other in candidate.pods if not is_over(other) and other.metadata.deletion_timestamp is None]
    siblings = sum(owner is not None and controller_of(other.metadata) == owner for other in present)
    return siblings, -preference(pod, candidate.node), len(present), candidate.node.metadata.name


def binding(pod: Pod, node_name: str) -> Change:
    """Bind the pod to the node; the API server sets `spec.nodeName` and the condition PodScheduled."""
    meta = pod.metadata
    document = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node_name},
    }
    note = Note(
        reference(PODS, meta),
        "Scheduled",
        f"Successfully assigned {key_of(meta)} to {node_name}",
        failure_reason="FailedScheduling",
        failure_message="binding rejected: ",
    )
    return Create(PODS, document, subresource="binding", note=note)


def unschedulable(pod: Pod, message: str, *, now: datetime) -> list[Change]:
    """The condition and the Event, once per reason."""
    found = condition(pod, "PodScheduled")
    if found is not None and (found.status, found.reason, found.message) == ("False", "Unschedulable", message):
        return []
    kept = [c for c in pod.status.conditions or () if c.type != "PodScheduled"]
    since = found.last_transition_time if found and found.status == "False" else time_text(now)
    new = PodCondition("PodScheduled", "False", "Unschedulable", message, since)
    patch = {
        "metadata": {"uid": pod.metadata.uid, "resourceVersion": pod.metadata.resource_version},
        "status": {"conditions": plain([*kept, new])},
    }
    told = Tell(Note(reference(PODS, pod.metadata), "FailedScheduling", message, type="Warning"))
    return [told, Patch(PODS, key_of(pod.metadata), patch, subresource="status")]
