"""Rows of Nodes, Namespaces, Leases and Events."""

from datetime import datetime

from kubesvc.apiserver.printers.age import age_since
from kubesvc.apiserver.printers.columns import (
    AGE,
    NAME,
    NONE,
    Cells,
    Column,
    Document,
    Printer,
    age_of,
    name_of,
    part,
    wide,
)

UNKNOWN = "<unknown>"
_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _node_cells(node: Document, now: datetime) -> Cells:
    status = part(node, "status")
    info = part(status, "nodeInfo")
    return [
        name_of(node),
        _node_status(node),
        ",".join(sorted(_roles(node))) or NONE,
        age_of(node, now),
        info.get("kubeletVersion") or "",
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(node: Document) -> str:
    conditions = part(node, "status").get("conditions") or ()
    words = ["Ready" if c.get("status") == "True" else "NotReady" for c in conditions if c.get("type") == "Ready"]
    if part(node, "spec").get("unschedulable"):
        return ",".join([*(words or ["Unknown"]), "SchedulingDisabled"])
    return ",".join(words) or "Unknown"


def _roles(node: Document) -> set[str]:
    labels = node["metadata"].get("labels") or {}
    roles = {label.removeprefix(_ROLE_PREFIX) for label in labels if label.startswith(_ROLE_PREFIX)}
    return (roles | {labels.get(_ROLE_LABEL, "")}) - {""}


def _address(status: Document, kind: str) -> str:
    for address in status.get("addresses") or ():
        if address.get("type") == kind:
            return str(address.get("address"))
    return NONE


NODES = Printer(
    (
        NAME,
        Column("Status", "Whether the node is ready and takes new pods."),
        Column("Roles", "What the node is for, as its labels say."),
        AGE,
        Column("Version", "The version of the node's agent."),
        wide("Internal-IP", "The node's address inside the cluster."),
        wide("External-IP", "The node's address outside."),
        wide("OS-Image", "The operating system."),
        wide("Kernel-Version", "The kernel."),
        wide("Container-Runtime", "What runs the containers."),
    ),
    _node_cells,
)


def _namespace_cells(namespace: Document, now: datetime) -> Cells:
    return [name_of(namespace), part(namespace, "status").get("phase") or "", age_of(namespace, now)]


NAMESPACES = Printer((NAME, Column("Status", "The phase of the namespace."), AGE), _namespace_cells)


def _lease_cells(lease: Document, now: datetime) -> Cells:
    return [name_of(lease), part(lease, "spec").get("holderIdentity") or "", age_of(lease, now)]


LEASES = Printer((NAME, Column("Holder", "Who holds the lease."), AGE), _lease_cells)


def _event_cells(event: Document, now: datetime) -> Cells:
    first = age_since(event.get("firstTimestamp") or event.get("eventTime"), now)
    last = age_since(event["lastTimestamp"], now) if event.get("lastTimestamp") else first
    count, series = event.get("count") or 1, event.get("series")
    if series:
        last, count = age_since(series.get("lastObservedTime"), now), series.get("count") or 0
    involved = part(event, "involvedObject")
    return [
        last,
        event.get("type") or "",
        event.get("reason") or "",
        "/".join(filter(None, (str(involved.get("kind") or "").lower(), involved.get("name")))),
        str(event.get("message") or "").strip(),
        involved.get("fieldPath") or "",
        _source(event),
        first,
        count,
        name_of(event),
    ]


def _source(event: Document) -> str:
    source = part(event, "source")
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance")
    return f"{component}, {host}" if host else str(component)


EVENTS = Printer(
    (
        Column("Last Seen", "When the event was seen last."),
        Column("Type", "Normal or Warning."),
        Column("Reason", "The event in one word."),
        Column("Object", "What the event is about."),
        Column("Message", "The event in a sentence."),
        wide("Subobject", "The part of the object the event is about."),
        wide("Source", "Who reported the event."),
        wide("First Seen", "When the event was seen first."),
        wide("Count", "How often the event was seen."),
        wide("Name", "The event's own name.", format_="name"),
    ),
    _event_cells,
)
