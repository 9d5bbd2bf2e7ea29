"""What an object must be to be stored: every kind's rules, in the API's own words.

Objects come here decoded, of the right types, defaulted and with everything allocated; what is
wrong comes back as a list of FieldErrors. Upstream's order of errors is kept.
"""

from collections.abc import Callable
from typing import Any

from kubesvc.api import resources as r
from kubesvc.api.addresses import check_canonical_ip
from kubesvc.api.names import NameCheck, check_label, check_path_segment, check_subdomain
from kubesvc.api.validation.configmap import validate_config_map
from kubesvc.api.validation.endpoints import validate_endpoints
from kubesvc.api.validation.endpointslice import validate_endpoint_slice
from kubesvc.api.validation.errors import (
    ErrorType,
    FieldError,
    duplicate,
    forbidden,
    invalid,
    invalid_error,
    not_found,
    not_supported,
    required,
    too_long,
    too_many,
)
from kubesvc.api.validation.event import validate_event
from kubesvc.api.validation.ipaddress import validate_ip_address
from kubesvc.api.validation.lease import validate_lease
from kubesvc.api.validation.meta import validate_meta, validate_meta_update
from kubesvc.api.validation.namespace import validate_namespace, validate_namespace_status
from kubesvc.api.validation.node import validate_node, validate_node_status
from kubesvc.api.validation.pod import validate_pod
from kubesvc.api.validation.pod_update import validate_pod_update
from kubesvc.api.validation.secret import validate_secret
from kubesvc.api.validation.service import validate_service
from kubesvc.api.validation.service_update import validate_service_status, validate_service_update
from kubesvc.api.validation.servicecidr import validate_service_cidr
from kubesvc.api.validation.workloads import (
    validate_deployment,
    validate_replica_set,
    validate_workload_status,
)

__all__ = [
    "ErrorType", "FieldError", "duplicate", "forbidden", "invalid", "invalid_error", "not_found", "not_supported",
    "required", "too_long", "too_many", "validate_create", "validate_status_update", "validate_update",
]  # fmt: skip

Document = dict[str, Any]
Rule = Callable[[Document, Document | None], list[FieldError]]
UpdateRule = Callable[[Document, Document], list[FieldError]]

_NAMES: dict[r.Resource, NameCheck] = {
    r.SERVICES: check_label,
    r.NAMESPACES: check_label,
    r.IPADDRESSES: check_canonical_ip,
    r.EVENTS: check_path_segment,
}

_RULES: dict[r.Resource, Rule] = {
    r.SERVICES: validate_service,
    r.PODS: validate_pod,
    r.DEPLOYMENTS: validate_deployment,
    r.REPLICASETS: validate_replica_set,
    r.NAMESPACES: validate_namespace,
    r.NODES: validate_node,
    r.ENDPOINTS: validate_endpoints,
    r.ENDPOINTSLICES: validate_endpoint_slice,
    r.CONFIGMAPS: validate_config_map,
    r.SECRETS: validate_secret,
    r.EVENTS: validate_event,
    r.LEASES: validate_lease,
    r.SERVICECIDRS: validate_service_cidr,
    r.IPADDRESSES: validate_ip_address,
}

_UPDATE_RULES: dict[r.Resource, UpdateRule] = {
    r.SERVICES: validate_service_update,
    r.PODS: validate_pod_update,
}

_STATUS_RULES: dict[r.Resource, UpdateRule] = {
    r.SERVICES: validate_service_status,
    r.NAMESPACES: validate_namespace_status,
    r.NODES: validate_node_status,
    r.DEPLOYMENTS: validate_workload_status,
    r.REPLICASETS: validate_workload_status,
}


def validate_create(resource: r.Resource, obj: Document) -> list[FieldError]:
    """What is wrong with a new object; empty when it may be stored."""
    check_name = _NAMES.get(resource, check_subdomain)
    errors = validate_meta(obj.get("metadata") or {}, check_name, namespaced=resource.namespaced)
    rule = _RULES.get(resource)
    return errors + (rule(obj, None) if rule else [])


def validate_update(resource: r.Resource, new: Document, old: Document) -> list[FieldError]:
    """What is wrong with `new` in place of `old`: its own rules and what may not change."""
    errors = validate_meta_update(new.get("metadata") or {}, old.get("metadata") or {})
    rule: Rule | UpdateRule | None = _UPDATE_RULES.get(resource) or _RULES.get(resource)
    return errors + (rule(new, old) if rule else [])


def validate_status_update(resource: r.Resource, new: Document, old: Document) -> list[FieldError]:
    """What is wrong with a write to the status subresource."""
    errors = validate_meta_update(new.get("metadata") or {}, old.get("metadata") or {})
    rule = _STATUS_RULES.get(resource)
    return errors + (rule(new, old) if rule else [])
