"""Which pod a person means by `web-1`, `pod/web-1`, `deploy/web` or `svc/web`."""

from typing import TYPE_CHECKING, Any

from kubesvc.api.resources import PODS
from kubesvc.cli.exits import Refusal
from kubesvc.cli.targets import Target, parse_targets

if TYPE_CHECKING:
    from kubesvc.client.rest import Client


async def choose_pod(client: "Client", word: str, namespace: str) -> str:
    """The name of the pod; of an object that selects pods, the best of them. Raises Refusal when there is none."""
    if "/" not in word:
        return word
    target = parse_targets([word])[0]
    if target.resource == PODS:
        return target.name
    selector = pod_selector(target, await client.get(target.resource, target.name, namespace=namespace))
    pod = best_pod((await client.list(PODS, namespace=namespace, label_selector=selector)).items)
    if pod is None:
        raise Refusal(f"no pods belong to {target}", f"kubesvc get pods -n {namespace} --show-labels")
    return str(pod["metadata"]["name"])


def pod_selector(target: Target, document: dict[str, Any]) -> str:
    """P: the pods of a Service or workload as a label selector. Raises Refusal for an object that selects none."""
    selector = (document.get("spec") or {}).get("selector") or {}
    if target.resource.kind != "Service":
        terms = [_expression(term) for term in selector.get("matchExpressions") or ()]
        labels = selector.get("matchLabels") or {}
    else:
        terms, labels = [], selector
    text = ",".join([*(f"{key}={value}" for key, value in sorted(labels.items())), *terms])
    if not text:
        raise Refusal(f"{target} selects no pods", "name a pod; kubesvc get pods shows them")
    return text


def best_pod(pods: list[dict[str, Any]]) -> dict[str, Any] | None:
    """P: a ready one before a running one before any other, one that stays before one that ends, then the oldest."""
    return min(pods, key=_rank, default=None)


def _rank(pod: dict[str, Any]) -> tuple[bool, bool, bool, str, str]:
    metadata, status = pod["metadata"], pod.get("status") or {}
    conditions = {item["type"]: item["status"] for item in status.get("conditions") or ()}
    return (
        bool(metadata.get("deletionTimestamp")),
        conditions.get("Ready") != "True",
        status.get("phase") != "Running",
        metadata.get("creationTimestamp") or "",
        metadata["name"],
    )


def _expression(term: dict[str, Any]) -> str:
    key, values = str(term["key"]), ",".join(term.get("values") or ())
    forms = {
        "In": f"{key} in ({values})",
        "NotIn": f"{key} notin ({values})",
        "Exists": key,
        "DoesNotExist": f"!{key}",
    }
    return forms[term["operator"]]
