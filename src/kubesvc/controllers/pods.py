"""What controllers ask about pods: readiness, availability, addresses."""

from datetime import datetime, timedelta

from kubesvc.api.times import parse_time
from kubesvc.api.views import Pod, PodCondition

_OVER = ("Succeeded", "Failed")


def condition(pod: Pod, type_: str) -> PodCondition | None:
    for found in pod.status.conditions or ():
        if found.type == type_:
            return found
    return None


def is_ready(pod: Pod) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found.status == "True"


def is_over(pod: Pod) -> bool:
    """Whether all containers ended for good."""
    return pod.status.phase in _OVER


def is_active(pod: Pod) -> bool:
    """Whether the pod counts as a replica: neither over nor on its way out."""
    return not is_over(pod) and pod.metadata.deletion_timestamp is None


def available_in(pod: Pod, min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until the pod counts as available, 0 when it does, None while it is not ready."""
    ready = condition(pod, "Ready")
    if ready is None or ready.status != "True":
        return None
    if not min_ready_seconds or ready.last_transition_time is None:
        return 0.0
    since = parse_time(ready.last_transition_time)
    return max(0.0, (since + timedelta(seconds=min_ready_seconds) - now).total_seconds())


def addresses(pod: Pod, family: str) -> tuple[str, ...]:
    """The pod's addresses of family `IPv4` or `IPv6`."""
    known = tuple(entry.ip for entry in pod.status.pod_ips or ()) or ((pod.status.pod_ip,) if pod.status.pod_ip else ())
    return tuple(address for address in known if address and (":" in address) == (family == "IPv6"))


def has_address(pod: Pod) -> bool:
    return bool(pod.status.pod_ip or pod.status.pod_ips)
