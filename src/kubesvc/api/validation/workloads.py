"""Deployments and ReplicaSets (apps/v1)."""

from collections.abc import Iterable
from typing import Any

from kubesvc.api.intstr import IntOrString
from kubesvc.api.names import check_percent
from kubesvc.api.selectors import label_selector_from
from kubesvc.api.validation.errors import (
    FieldError,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubesvc.api.validation.labels import (
    validate_annotations,
    validate_label_selector,
    validate_labels,
)
from kubesvc.api.validation.meta import unchanged
from kubesvc.api.validation.pod import AT_LEAST_ZERO, validate_pod_spec

Document = dict[str, Any]

_STRATEGIES = frozenset({"Recreate", "RollingUpdate"})


def validate_deployment(deployment: Document, old: Document | None = None) -> list[FieldError]:
    spec = deployment.get("spec") or {}
    errors = _validate_counts(spec, ("replicas",), "spec")
    errors += _validate_selector_and_template(spec, "deployment")
    errors += _validate_strategy(spec.get("strategy") or {}, "spec.strategy")
    errors += _validate_counts(spec, ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"), "spec")
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        errors.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return errors + _validate_same_selector(spec, old)


def validate_replica_set(replica_set: Document, old: Document | None = None) -> list[FieldError]:
    spec = replica_set.get("spec") or {}
    errors = _validate_counts(spec, ("replicas", "minReadySeconds"), "spec")
    # Upstream says "deployment" for ReplicaSets too; clients may match on the sentence.
    errors += _validate_selector_and_template(spec, "deployment")
    return errors + _validate_same_selector(spec, old)


def _validate_counts(parent: Document, fields: Iterable[str], path: str) -> list[FieldError]:
    counts = ((field, parent.get(field) or 0) for field in fields)
    return [invalid(f"{path}.{field}", count, AT_LEAST_ZERO) for field, count in counts if count < 0]


def _validate_same_selector(spec: Document, old: Document | None) -> list[FieldError]:
    if old is None:
        return []
    return unchanged(spec.get("selector"), (old.get("spec") or {}).get("selector"), "spec.selector")


def _validate_selector_and_template(spec: Document, kind: str) -> list[FieldError]:
    selector, template = spec.get("selector"), spec.get("template")
    if selector is None:
        return [required("spec.selector"), *_validate_template(template)]
    errors = validate_label_selector(selector, "spec.selector")
    if not errors and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(invalid("spec.selector", selector, f"empty selector is invalid for {kind}"))
    elif not errors and template:
        labels = (template.get("metadata") or {}).get("labels") or {}
        if not label_selector_from(selector).matches(labels):
            problem = "`selector` does not match template `labels`"
            errors.append(invalid("spec.template.metadata.labels", labels, problem))
    return errors + _validate_template(template)


def _validate_template(template: Document | None) -> list[FieldError]:
    path = "spec.template"
    if not template:
        return [required(path)]
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    errors = validate_labels(metadata.get("labels"), f"{path}.metadata.labels")
    errors += validate_annotations(metadata.get("annotations"), f"{path}.metadata.annotations")
    errors += validate_pod_spec(spec, f"{path}.spec")
    policy = spec.get("restartPolicy")
    if policy and policy != "Always":
        errors.append(not_supported(f"{path}.spec.restartPolicy", policy, ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        problem = "activeDeadlineSeconds in ReplicaSet is not Supported"
        errors.append(forbidden(f"{path}.spec.activeDeadlineSeconds", problem))
    return errors


def _validate_strategy(strategy: Document, path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "Recreate" and rolling is not None:
        return [forbidden(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")]
    if kind not in _STRATEGIES:
        return [not_supported(f"{path}.type", kind, _STRATEGIES)] if kind else [required(f"{path}.type")]
    if kind == "Recreate":
        return []
    if rolling is None:
        return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    return _validate_rolling_update(rolling, f"{path}.rollingUpdate")


def _validate_rolling_update(rolling: Document, path: str) -> list[FieldError]:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    errors = _validate_amount(unavailable, f"{path}.maxUnavailable") + _validate_amount(surge, f"{path}.maxSurge")
    if errors:
        return errors
    if _number(unavailable) == 0 and _number(surge) == 0:
        return [invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")]
    if isinstance(unavailable, str) and _number(unavailable) > 100:
        return [invalid(f"{path}.maxUnavailable", unavailable, "must not be greater than 100%")]
    return []


def _validate_amount(value: IntOrString, path: str) -> list[FieldError]:
    if isinstance(value, str):
        return each_invalid(path, value, check_percent(value))
    return [] if value >= 0 else [invalid(path, value, AT_LEAST_ZERO)]


def _number(value: IntOrString) -> int:
    return int(value.removesuffix("%")) if isinstance(value, str) else value


def validate_workload_status(obj: Document, old: Document) -> list[FieldError]:
    """The counts of a Deployment's or ReplicaSet's status agree with each other."""
    status = obj.get("status") or {}
    fields = ("replicas", "updatedReplicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    errors = _validate_counts(status, (*fields, "unavailableReplicas", "observedGeneration"), "status")
    total, ready = status.get("replicas") or 0, status.get("readyReplicas") or 0
    for field in fields[1:]:
        count = status.get(field) or 0
        if count > total:
            errors.append(invalid(f"status.{field}", count, "cannot be greater than status.replicas"))
    available = status.get("availableReplicas") or 0
    if available > ready:
        errors.append(invalid("status.availableReplicas", available, "cannot be greater than readyReplicas"))
    return errors
