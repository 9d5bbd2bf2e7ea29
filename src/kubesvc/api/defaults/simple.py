"""Defaults of the kinds that have few: Namespace, Node, Secret, Event."""

from base64 import b64encode

from kubesvc.api.defaults.fields import Document, child, ensure, ensure_filled

NAME_LABEL = "kubernetes.io/metadata.name"


def default_namespace(namespace: Document) -> None:
    """The phase, and the label by which selectors can name a namespace."""
    metadata = child(namespace, "metadata")
    if metadata.get("name"):
        ensure(metadata, "labels", {})[NAME_LABEL] = metadata["name"]
    ensure(namespace, "spec", {})
    ensure_filled(ensure(namespace, "status", {}), "phase", "Active")


def default_node(node: Document) -> None:
    """The allocatable amounts; and `podCIDR`, the old spelling of the first of `podCIDRs`."""
    spec = ensure(node, "spec", {})
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs") and not spec.get("podCIDR"):
        spec["podCIDR"] = spec["podCIDRs"][0]
    status = ensure(node, "status", {})
    if status.get("capacity") is not None and status.get("allocatable") is None:
        status["allocatable"] = dict(status["capacity"])


def default_secret(secret: Document) -> None:
    """The type; and `stringData`, which is for writing only, goes into `data` as base64."""
    ensure_filled(secret, "type", "Opaque")
    plain = secret.pop("stringData", None)
    if plain:
        encoded = {key: b64encode(str(value).encode()).decode() for key, value in plain.items()}
        ensure(secret, "data", {}).update(encoded)


def default_event(event: Document) -> None:
    ensure(event, "source", {})
    ensure(event, "involvedObject", {})
