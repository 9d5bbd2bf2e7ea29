"""`nodeSelector` and required node affinity (core/v1 NodeSelector): terms are ORed, expressions ANDed."""

from collections.abc import Mapping
from typing import Any

from kubesvc.api.views import Node, Pod

_Document = Mapping[str, Any]


def matches_node(pod: Pod, node: Node) -> bool:
    labels = node.metadata.labels or {}
    if any(labels.get(name) != value for name, value in (pod.spec.node_selector or {}).items()):
        return False
    affinity = (pod.spec.affinity or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(_term_matches(term, node) for term in required.get("nodeSelectorTerms") or ())


def preference(pod: Pod, node: Node) -> int:
    """The sum of the weights of the preferred terms the node meets."""
    affinity = (pod.spec.affinity or {}).get("nodeAffinity") or {}
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return sum(
        int(entry.get("weight") or 0) for entry in preferred if _term_matches(entry.get("preference") or {}, node)
    )


def _term_matches(term: _Document, node: Node) -> bool:
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False  # an empty term matches no node
    labels = node.metadata.labels or {}
    return all(_meets(expression, labels) for expression in expressions) and all(
        _meets(field, {"metadata.name": node.metadata.name}) for field in fields
    )


def _meets(requirement: _Document, have: Mapping[str, str]) -> bool:
    value = have.get(requirement.get("key", ""))
    values = requirement.get("values") or ()
    match requirement.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return _compare(value, values) > 0
        case "Lt":
            return _compare(value, values) < 0
    return False


def _compare(value: str | None, values: Any) -> int:
    """-1, 0 or 1; 0, which meets neither Gt nor Lt, where one of the two is no integer."""
    try:
        left, right = int(value or ""), int(values[0])
    except (ValueError, IndexError):
        return 0
    return (left > right) - (left < right)
