"""Services as the API states them -> service ports per family (behaviour rows 1 to 6, 15, 22, 23, 28)."""

import re
from collections.abc import Callable, Iterable, Iterator

from kubesvc.api import views
from kubesvc.proxy.addresses import canonical, canonical_range, collapse_ranges, family_of, range_family
from kubesvc.proxy.labels import is_ours
from kubesvc.proxy.model import PROTOCOL_NUMBERS, Complaint, Family, ServicePort, ServicePortName

DEFAULT_AFFINITY_SECONDS = 10800
_NAME = re.compile(r"[A-Za-z0-9._-]{0,253}")
"""Wider than the API's names, but nothing that could end a word in iptables' language."""

Complain = Callable[[str, str], None]


def parse_service(
    service: views.Service, family: Family
) -> tuple[dict[ServicePortName, ServicePort], tuple[Complaint, ...]]:
    """The ports this family's proxy serves, and what was left out and why."""
    complaints: list[Complaint] = []
    meta = service.metadata

    def complain(reason: str, message: str) -> None:
        complaints.append(Complaint("Service", meta.namespace, meta.name, reason, message))

    ports = {port.name: port for port in _distinct(_ports(service, family, complain), complain)}
    return ports, tuple(complaints)


def is_proxied(service: views.Service) -> bool:
    """False for headless, ExternalName and unallocated Services, and for those another proxy claims."""
    if not is_ours(service.metadata.labels):
        return False
    return service.spec.type != "ExternalName" and service.spec.cluster_ip not in ("", "None")


def _ports(service: views.Service, family: Family, complain: Complain) -> Iterator[ServicePort]:
    spec, meta = service.spec, service.metadata
    if not is_proxied(service):
        return
    if not _NAME.fullmatch(meta.namespace) or not _NAME.fullmatch(meta.name):
        complain("InvalidName", f"{meta.namespace!r}/{meta.name!r} is not a name")
        return
    cluster_ip = _cluster_ip(spec, family, complain)
    if cluster_ip is None:
        return
    external_ips = _without(_addresses(spec.external_ips or (), family, "spec.externalIPs", complain), cluster_ip)
    load_balancer_ips = _without(_load_balancer_ips(service, family, complain), cluster_ip, *external_ips)
    ranges = _source_ranges(spec, family, complain)
    health_port = _health_port(spec, complain)
    external_type = spec.type in ("NodePort", "LoadBalancer")
    for port in spec.ports or ():
        if not _valid_port(port, complain):
            continue
        yield ServicePort(
            name=ServicePortName(meta.namespace, meta.name, port.name, port.protocol),
            family=family,
            cluster_ip=cluster_ip,
            port=port.port,
            node_port=port.node_port if external_type else 0,
            external_ips=external_ips,
            load_balancer_ips=load_balancer_ips,
            source_ranges=ranges,
            affinity_seconds=_affinity_seconds(spec),
            internal_local=spec.internal_traffic_policy == "Local",
            external_local=spec.external_traffic_policy == "Local" and (external_type or bool(external_ips)),
            health_check_node_port=health_port,
            external_type=external_type,
        )


def _distinct(ports: Iterable[ServicePort], complain: Complain) -> Iterator[ServicePort]:
    """The ports without those that repeat what an earlier one has: its name, its port or its node port."""
    seen: set[tuple[str, str, str | int]] = set()
    for port in ports:
        protocol = port.name.protocol
        has: set[tuple[str, str, str | int]] = {("name", protocol, port.name.port), ("port", protocol, port.port)}
        if port.node_port:
            has.add(("node port", protocol, port.node_port))
        if seen.isdisjoint(has):
            seen |= has
            yield port
        else:
            complain("InvalidPort", f"port {port.name.port or port.port}: repeats an earlier port of this Service")


def _cluster_ip(spec: views.ServiceSpec, family: Family, complain: Complain) -> str | None:
    for text in spec.cluster_ips or (spec.cluster_ip,):
        found = family_of(text)
        if found is None:
            complain("InvalidClusterIP", f"clusterIP {text!r} is not an address")
        elif found is family:
            return canonical(text, family)
    return None


def _without(addresses: tuple[str, ...], *others: str) -> tuple[str, ...]:
    return tuple(address for address in addresses if address not in others)


def _addresses(texts: Iterable[str], family: Family, field: str, complain: Complain) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for text in texts:
        address = canonical(text, family)
        if address is not None:
            found[address] = None
        elif family_of(text) is None:
            complain("InvalidAddress", f"{field}: {text!r} is not an address")
    return tuple(found)


def _load_balancer_ips(service: views.Service, family: Family, complain: Complain) -> tuple[str, ...]:
    """The balancer's addresses that this node answers on; the status counts, whatever the type is."""
    ingress = service.status.load_balancer.ingress or ()
    texts = [entry.ip for entry in ingress if entry.ip and entry.ip_mode != "Proxy"]
    return _addresses(texts, family, "status.loadBalancer.ingress", complain)


def _source_ranges(spec: views.ServiceSpec, family: Family, complain: Complain) -> tuple[str, ...]:
    """The allowed sources of this family, sorted; empty means that everybody is allowed.

    Ranges of only the other family allow nobody in this one, which is said by a range that
    contains no source: the family's unspecified address.
    """
    texts = [text for text in spec.load_balancer_source_ranges or () if text.strip()]
    if not texts:
        return ()
    ranges: set[str] = set()
    for text in texts:
        cidr = canonical_range(text, family)
        if cidr is not None:
            ranges.add(cidr)
        elif range_family(text) is None:
            complain("InvalidSourceRange", f"spec.loadBalancerSourceRanges: {text!r} is not a CIDR")
    if any(cidr.endswith("/0") for cidr in ranges):
        return ()
    return collapse_ranges(ranges) or (NOBODY[family],)


NOBODY = {Family.IPV4: "0.0.0.0/32", Family.IPV6: "::/128"}


def _affinity_seconds(spec: views.ServiceSpec) -> int:
    if spec.session_affinity != "ClientIP":
        return 0
    config = spec.session_affinity_config
    seconds = config.client_ip.timeout_seconds if config and config.client_ip else None
    return seconds if seconds and 0 < seconds <= 86400 else DEFAULT_AFFINITY_SECONDS


def _health_port(spec: views.ServiceSpec, complain: Complain) -> int:
    if spec.type != "LoadBalancer" or spec.external_traffic_policy != "Local":
        return 0
    port = spec.health_check_node_port
    if 0 <= port < 65536:
        return port
    complain("InvalidPort", f"spec.healthCheckNodePort: {port} is out of range")
    return 0


def _valid_port(port: views.ServicePort, complain: Complain) -> bool:
    if port.protocol not in PROTOCOL_NUMBERS:
        complain("InvalidPort", f"port {port.name or port.port}: protocol {port.protocol!r} is unknown")
    elif not 0 < port.port < 65536 or not 0 <= port.node_port < 65536:
        complain("InvalidPort", f"port {port.name or port.port}: {port.port}/{port.node_port} is out of range")
    elif not _NAME.fullmatch(port.name):
        complain("InvalidPort", f"port {port.port}: {port.name!r} is not a name")
    else:
        return True
    return False
