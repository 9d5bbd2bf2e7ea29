"""Services: what may change, and their status."""

from typing import Any

from kubesvc.api.addresses import parse_lenient_ip
from kubesvc.api.names import check_subdomain
from kubesvc.api.service_strategy import is_load_balancer, needs_health_check_port
from kubesvc.api.validation.errors import FieldError, each_invalid, forbidden, invalid, not_supported, required
from kubesvc.api.validation.ips import ip_problems
from kubesvc.api.validation.meta import IMMUTABLE
from kubesvc.api.validation.service import validate_service
from kubesvc.api.validation.service_addresses import validate_cluster_ips_update

Document = dict[str, Any]

IP_MODES = frozenset({"VIP", "Proxy"})


def validate_service_update(new: Document, old: Document) -> list[FieldError]:
    spec, before = new["spec"], old["spec"]
    errors = validate_cluster_ips_update(spec, before)
    same_class = spec.get("loadBalancerClass") == before.get("loadBalancerClass")
    if is_load_balancer(spec) and is_load_balancer(before) and not same_class:
        errors.append(invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), "may not change once set"))
    both_check = needs_health_check_port(spec) and needs_health_check_port(before)
    if both_check and (spec.get("healthCheckNodePort") or 0) != (before.get("healthCheckNodePort") or 0):
        errors.append(forbidden("spec.healthCheckNodePort", IMMUTABLE))
    return errors + validate_service(new, old)


def validate_service_status(new: Document, old: Document) -> list[FieldError]:
    """The load balancer's ingress points; addresses already stored may keep an outdated spelling."""
    path = "status.loadBalancer.ingress"
    ingress = _ingress(new)
    if ingress and not is_load_balancer(new["spec"]):
        return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    known = {point.get("ip") or "" for point in _ingress(old)}
    return [error for i, point in enumerate(ingress) for error in _validate_ingress(point, known, f"{path}[{i}]")]


def _ingress(service: Document) -> list[Document]:
    return ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []


def _validate_ingress(point: Document, known: set[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    address, mode, hostname = point.get("ip") or "", point.get("ipMode"), point.get("hostname") or ""
    if address:
        errors += each_invalid(f"{path}.ip", address, ip_problems(address, known))
    if mode is None and address:
        errors.append(required(f"{path}.ipMode", "must be specified when `ip` is set"))
    elif mode is not None and not address:
        errors.append(forbidden(f"{path}.ipMode", "may not be specified when `ip` is not set"))
    elif mode is not None and mode not in IP_MODES:
        errors.append(not_supported(f"{path}.ipMode", mode, IP_MODES))
    if hostname:
        errors += each_invalid(f"{path}.hostname", hostname, check_subdomain(hostname))
        if parse_lenient_ip(hostname) is not None:
            errors.append(invalid(f"{path}.hostname", hostname, "must be a DNS name, not an IP address"))
    return errors
