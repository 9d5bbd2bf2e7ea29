"""Which pods go first when there are too many (`controller.ActivePodsWithRanks` upstream)."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from kubesvc.api.times import parse_time
from kubesvc.api.views import Pod
from kubesvc.controllers.pods import condition, is_ready

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def choose_for_deletion(pods: Sequence[Pod], count: int, *, related: Iterable[Pod], now: datetime) -> list[Pod]:
    """The `count` pods whose loss hurts least.

    In this order: unassigned; pending; not ready; cheaper by annotation; on the node with most ready
    `related` pods; ready for a shorter time; more restarts; younger.
    """
    crowd: dict[str, int] = {}
    for pod in related:
        if is_ready(pod):
            crowd[pod.spec.node_name] = crowd.get(pod.spec.node_name, 0) + 1

    def loss(pod: Pod) -> tuple[object, ...]:
        return (
            bool(pod.spec.node_name),
            _PHASES.get(pod.status.phase, 0),
            is_ready(pod),
            deletion_cost(pod),
            -crowd.get(pod.spec.node_name, 0),
            _age_class(_ready_since(pod), now),
            -_restarts(pod),
            _age_class(pod.metadata.creation_timestamp, now),
            pod.metadata.uid,
        )

    return sorted(pods, key=loss)[:count]


def deletion_cost(pod: Pod) -> int:
    try:
        return int((pod.metadata.annotations or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _ready_since(pod: Pod) -> str | None:
    ready = condition(pod, "Ready")
    return ready.last_transition_time if ready and ready.status == "True" else None


def _age_class(since: str | None, now: datetime) -> int:
    """Ages in powers of two seconds, so that among pods of about the same age none is always first."""
    if since is None:
        return 0
    return max(0, int((now - parse_time(since)).total_seconds())).bit_length()


def _restarts(pod: Pod) -> int:
    return sum(int(status.get("restartCount") or 0) for status in pod.status.container_statuses or ())
