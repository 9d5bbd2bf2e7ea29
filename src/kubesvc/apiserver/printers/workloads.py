"""Rows of Deployments and ReplicaSets."""

from datetime import datetime

from kubesvc.api.selectors import label_selector_from
from kubesvc.apiserver.printers.columns import (
    AGE,
    NAME,
    Cells,
    Column,
    Document,
    Printer,
    age_of,
    name_of,
    part,
    wide,
)

_TEMPLATE_COLUMNS = (
    wide("Containers", "The names of the template's containers."),
    wide("Images", "The images of the template's containers."),
    wide("Selector", "The labels of the pods."),
)


def _template_cells(obj: Document) -> Cells:
    spec = part(obj, "spec")
    containers = part(part(spec, "template"), "spec").get("containers") or ()
    names = ",".join(container.get("name", "") for container in containers)
    images = ",".join(container.get("image", "") for container in containers)
    return [names, images, _selector(spec)]


def _selector(spec: Document) -> str:
    try:
        return str(label_selector_from(spec.get("selector")))
    except ValueError:
        return "<invalid>"


def _deployment_cells(deployment: Document, now: datetime) -> Cells:
    spec, status = part(deployment, "spec"), part(deployment, "status")
    return [
        name_of(deployment),
        f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}",
        status.get("updatedReplicas") or 0,
        status.get("availableReplicas") or 0,
        age_of(deployment, now),
        *_template_cells(deployment),
    ]


DEPLOYMENTS = Printer(
    (
        NAME,
        Column("Ready", "How many of the wanted pods are ready."),
        Column("Up-to-date", "How many pods are of the current template."),
        Column("Available", "How many pods have been ready long enough."),
        AGE,
        *_TEMPLATE_COLUMNS,
    ),
    _deployment_cells,
)


def _replica_set_cells(replica_set: Document, now: datetime) -> Cells:
    spec, status = part(replica_set, "spec"), part(replica_set, "status")
    return [
        name_of(replica_set),
        spec.get("replicas") or 0,
        status.get("replicas") or 0,
        status.get("readyReplicas") or 0,
        age_of(replica_set, now),
        *_template_cells(replica_set),
    ]


REPLICASETS = Printer(
    (
        NAME,
        Column("Desired", "How many pods are wanted.", type="integer"),
        Column("Current", "How many pods there are.", type="integer"),
        Column("Ready", "How many pods are ready.", type="integer"),
        AGE,
        *_TEMPLATE_COLUMNS,
    ),
    _replica_set_cells,
)
