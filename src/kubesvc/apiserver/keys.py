"""Where objects live in the store: `services/default/web`, `deployments.apps/default/web`, `nodes/node-1`."""

from kubesvc.api.resources import Resource

NODE_PORTS = "nodeports/"
"""Rows of allocated node ports, `nodeports/30480`; no API resource has this name."""


def prefix_of(resource: Resource, namespace: str = "") -> str:
    """What the keys of a collection start with."""
    return f"{resource.group_resource}/{namespace}/" if namespace else f"{resource.group_resource}/"


def key_of(resource: Resource, namespace: str, name: str) -> str:
    return prefix_of(resource, namespace if resource.namespaced else "") + name
