"""P: what a pod may learn of itself: fieldRef and resourceFieldRef (downward API)."""

import math
import re

import msgspec

from kubesvc.api.quantity import parse_quantity
from kubesvc.api.views import Container, Pod, ResourceFieldSelector

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


class PodFacts(msgspec.Struct, frozen=True):
    """What is known of a pod when its containers start, beyond its own object."""

    pod_ip: str
    host_ip: str
    allocatable: dict[str, str]


class UnknownField(ValueError):
    """A path that the downward API does not offer."""


def field_value(pod: Pod, facts: PodFacts, path: str) -> str:
    """The text of a `fieldPath`; UnknownField names one that is not supported."""
    meta = pod.metadata
    match = _SUBSCRIPT.fullmatch(path)
    if match is not None:
        values = meta.labels if match[1] == "labels" else meta.annotations
        return (values or {}).get(match[2], "")
    simple = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": facts.host_ip,
        "status.hostIPs": facts.host_ip,
        "status.podIP": facts.pod_ip,
        "status.podIPs": facts.pod_ip,
        "metadata.labels": _format_map(meta.labels),
        "metadata.annotations": _format_map(meta.annotations),
    }
    if path not in simple:
        raise UnknownField(f"unsupported fieldPath: {path}")
    return simple[path]


def resource_value(pod: Pod, container: Container, facts: PodFacts, selector: ResourceFieldSelector) -> str:
    """A request or limit as a whole number of its divisor; the node's allocatable where no limit is set."""
    if selector.container_name and selector.container_name != container.name:
        found = [each for each in pod.spec.containers if each.name == selector.container_name]
        if not found:
            raise UnknownField(f"no container {selector.container_name} in pod")
        container = found[0]
    kind, _, resource = selector.resource.partition(".")
    resources = container.resources
    if kind not in ("limits", "requests") or not resource:
        raise UnknownField(f"unsupported container resource: {selector.resource}")
    limits = (resources and resources.limits) or {}
    requests = (resources and resources.requests) or {}
    if kind == "limits":
        value = limits.get(resource, facts.allocatable.get(resource, "0"))
    else:
        value = requests.get(resource, "0")
    divisor = parse_quantity(selector.divisor or "1").value or 1
    return str(math.ceil(parse_quantity(value).value / divisor))


def _format_map(values: dict[str, str] | None) -> str:
    """One `key="value"` a line, sorted, the value escaped as Go quotes it."""
    lines = []
    for key, value in sorted((values or {}).items()):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        lines.append(f'{key}="{escaped}"')
    return "\n".join(lines)
