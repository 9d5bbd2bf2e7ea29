"""Rows of Services, Endpoints, EndpointSlices, ServiceCIDRs and IPAddresses."""

from collections.abc import Iterator
from datetime import datetime

from kubesvc.apiserver.printers.columns import (
    AGE,
    NAME,
    NONE,
    Cells,
    Column,
    Document,
    Printer,
    age_of,
    format_labels,
    join_some,
    name_of,
    part,
    wide,
)

PENDING = "<pending>"
UNSET = "<unset>"


def _service_cells(service: Document, now: datetime) -> Cells:
    spec = part(service, "spec")
    return [
        name_of(service),
        spec.get("type") or "ClusterIP",
        (spec.get("clusterIPs") or [spec.get("clusterIP") or NONE])[0],
        external_ip(service),
        ",".join(_port(port) for port in spec.get("ports") or ()) or NONE,
        age_of(service, now),
        format_labels(spec.get("selector")),
    ]


def external_ip(service: Document) -> str:
    """Where the Service is reached from outside: `<none>`, `<pending>`, addresses or names."""
    spec = part(service, "spec")
    addresses = list(spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or "")
    if spec.get("type") != "LoadBalancer":
        return ",".join(addresses) or NONE
    ingress = part(part(service, "status"), "loadBalancer").get("ingress") or ()
    points = {point.get("ip") or point.get("hostname") or "" for point in ingress} - {""}
    return ",".join([*sorted(points), *addresses]) or PENDING


def _port(port: Document) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node}/{port.get('protocol') or 'TCP'}"


SERVICES = Printer(
    (
        NAME,
        Column("Type", "How the Service is exposed."),
        Column("Cluster-IP", "The address inside the cluster."),
        Column("External-IP", "Where the Service is reached from outside."),
        Column("Port(s)", "Port, node port and protocol of each port."),
        AGE,
        wide("Selector", "The labels of the pods behind the Service."),
    ),
    _service_cells,
)


def _endpoints_cells(endpoints: Document, now: datetime) -> Cells:
    subsets = endpoints.get("subsets") or ()
    reached = [address for subset in subsets for address in _reached(subset)]
    return [name_of(endpoints), join_some(reached, len(reached)) if subsets else NONE, age_of(endpoints, now)]


def _reached(subset: Document) -> Iterator[str]:
    """Each ready address with each port; the bare address where there is no port."""
    addresses = [address.get("ip", "") for address in subset.get("addresses") or ()]
    ports = subset.get("ports") or ()
    if not ports:
        yield from addresses
    for port in ports:
        for address in addresses:
            host = f"[{address}]" if ":" in address else address
            yield f"{host}:{port.get('port')}"


ENDPOINTS = Printer(
    (NAME, Column("Endpoints", "The ready addresses and their ports."), AGE),
    _endpoints_cells,
)


def _slice_cells(slice_: Document, now: datetime) -> Cells:
    ports = [_slice_port(port) for port in slice_.get("ports") or ()]
    endpoints = slice_.get("endpoints") or ()
    addresses = [address for endpoint in endpoints for address in endpoint.get("addresses") or ()]
    return [
        name_of(slice_),
        slice_.get("addressType") or "",
        join_some(ports, len(ports)) or UNSET,
        join_some(addresses, len(addresses)) or UNSET,
        age_of(slice_, now),
    ]


def _slice_port(port: Document) -> str:
    if port.get("port") is not None:
        return str(port["port"])
    name = port.get("name")
    return "*" if name is None else str(name)


ENDPOINTSLICES = Printer(
    (
        NAME,
        Column("AddressType", "The family of the addresses."),
        Column("Ports", "The ports every endpoint of the slice serves."),
        Column("Endpoints", "The addresses of the endpoints."),
        AGE,
    ),
    _slice_cells,
)


def _service_cidr_cells(service_cidr: Document, now: datetime) -> Cells:
    cidrs = part(service_cidr, "spec").get("cidrs") or ()
    return [name_of(service_cidr), ",".join(cidrs), age_of(service_cidr, now)]


SERVICECIDRS = Printer(
    (NAME, Column("CIDRs", "The ranges Services get their addresses from."), AGE),
    _service_cidr_cells,
)


def _ip_address_cells(ip_address: Document, now: datetime) -> Cells:
    parent = part(ip_address, "spec").get("parentRef")
    return [name_of(ip_address), NONE if not parent else _parent(parent)]


def _parent(parent: Document) -> str:
    group = parent.get("group")
    resource = f"{parent.get('resource')}.{group}" if group else str(parent.get("resource"))
    return "/".join(filter(None, (resource.lower(), parent.get("namespace"), parent.get("name"))))


IPADDRESSES = Printer((NAME, Column("ParentRef", "Who uses the address.")), _ip_address_cells)
