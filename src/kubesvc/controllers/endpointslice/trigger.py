"""Since when a Service's endpoints should have been different (SLO annotation `last-change-trigger-time`)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kubesvc.api.views import ObjectMeta, Pod
from kubesvc.controllers.pods import condition


@dataclass(frozen=True, slots=True)
class Triggers:
    """The times a reconciliation has already accounted for, RFC 3339 in UTC."""

    service: str = ""
    pods: dict[str, str] = field(default_factory=dict)


def find_trigger(service: ObjectMeta, pods: Iterable[Pod], before: Triggers | None) -> tuple[str | None, Triggers]:
    """The earliest change that is newer than `before`, or None, and what to remember for the next time."""
    old = before or Triggers()
    now = Triggers(service.creation_timestamp or "", {})
    fresh = [now.service] if now.service > old.service else []
    for pod in pods:
        ready = condition(pod, "Ready")
        moment = ready.last_transition_time if ready else None
        if not moment:
            continue
        now.pods[pod.metadata.name] = moment
        if moment > old.pods.get(pod.metadata.name, ""):
            fresh.append(moment)
    return (min(fresh) if fresh else None), now
