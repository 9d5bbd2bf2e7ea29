"""What the API fills in where a manifest says nothing: one function per kind, in place.

Defaults depend on the object alone; what depends on the cluster (addresses, node ports, the
IP families) is allocated by the API server afterwards.
"""

from collections.abc import Callable
from typing import Any

from kubesvc.api import resources as r
from kubesvc.api.defaults.discovery import default_endpoint_slice, default_endpoints
from kubesvc.api.defaults.pod import default_pod
from kubesvc.api.defaults.service import default_service
from kubesvc.api.defaults.simple import (
    default_event,
    default_namespace,
    default_node,
    default_secret,
)
from kubesvc.api.defaults.workloads import default_deployment, default_replica_set

Document = dict[str, Any]

_DEFAULTS: dict[r.Resource, Callable[[Document], None]] = {
    r.SERVICES: default_service,
    r.PODS: default_pod,
    r.DEPLOYMENTS: default_deployment,
    r.REPLICASETS: default_replica_set,
    r.NAMESPACES: default_namespace,
    r.NODES: default_node,
    r.SECRETS: default_secret,
    r.EVENTS: default_event,
    r.ENDPOINTS: default_endpoints,
    r.ENDPOINTSLICES: default_endpoint_slice,
}


def apply_defaults(resource: r.Resource, obj: Document) -> None:
    """Fill the defaults of `resource` into `obj` itself; applying them twice changes nothing."""
    default = _DEFAULTS.get(resource)
    if default is not None:
        default(obj)
