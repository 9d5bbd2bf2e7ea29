"""Defaults of Deployments and ReplicaSets (apps/v1)."""

from kubesvc.api.defaults.fields import Document, child, ensure, ensure_filled
from kubesvc.api.defaults.pod import default_template


def default_deployment(deployment: Document) -> None:
    spec = ensure(deployment, "spec", {})
    ensure(spec, "replicas", 1)
    strategy = ensure(spec, "strategy", {})
    ensure_filled(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = ensure(strategy, "rollingUpdate", {})
        ensure(rolling, "maxUnavailable", "25%")
        ensure(rolling, "maxSurge", "25%")
    ensure(spec, "revisionHistoryLimit", 10)
    ensure(spec, "progressDeadlineSeconds", 600)
    default_template(ensure(spec, "template", {}))
    ensure(deployment, "status", {})


def default_replica_set(replica_set: Document) -> None:
    spec = ensure(replica_set, "spec", {})
    ensure(spec, "replicas", 1)
    if child(spec, "template"):
        default_template(spec["template"])
    ensure(ensure(replica_set, "status", {}), "replicas", 0)
