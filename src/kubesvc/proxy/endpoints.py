"""EndpointSlices -> endpoints per port (behaviour rows 7 to 9)."""

from collections.abc import Iterable, Mapping
from sys import intern

from kubesvc.api import views
from kubesvc.proxy.addresses import usable_endpoint
from kubesvc.proxy.model import Complaint, Endpoint, Family

LABEL_SERVICE_NAME = "kubernetes.io/service-name"

PortKey = tuple[str, str]
"""A port's name ("" if it has none) and its protocol."""

SliceEndpoints = Mapping[PortKey, tuple[Endpoint, ...]]


def parse_slice(
    slice_: views.EndpointSlice, family: Family
) -> tuple[dict[PortKey, tuple[Endpoint, ...]], tuple[Complaint, ...]]:
    """The endpoints of one slice by port; nothing if the slice is of the other family."""
    if slice_.address_type != family.value:
        return {}, ()
    complaints: list[Complaint] = []
    meta = slice_.metadata

    def complain(reason: str, message: str) -> None:
        complaints.append(Complaint("EndpointSlice", meta.namespace, meta.name, reason, message))

    usable = []
    for endpoint in slice_.endpoints or ():
        first = endpoint.addresses[0] if endpoint.addresses else ""
        address = usable_endpoint(first, family)
        if address is None:
            complain("InvalidEndpoint", f"{first!r} cannot be an endpoint address")
        else:
            usable.append((address, endpoint))
    ports: dict[PortKey, tuple[Endpoint, ...]] = {}
    for port in slice_.ports or ():
        if port.port is None:
            continue
        if not 0 < port.port < 65536:
            complain("InvalidEndpointPort", f"port {port.name or ''} {port.port} is out of range")
            continue
        key = (port.name or "", port.protocol or "TCP")
        ports[key] = tuple(_endpoint(address, port.port, endpoint) for address, endpoint in usable)
    return ports, tuple(complaints)


def _endpoint(address: str, port: int, endpoint: views.Endpoint) -> Endpoint:
    conditions, hints = endpoint.conditions, endpoint.hints
    return Endpoint(
        ip=address,
        port=port,
        node=intern(endpoint.node_name or ""),
        ready=conditions.ready is not False,
        serving=conditions.serving is not False,
        terminating=conditions.terminating is True,
        zones=tuple(zone.name for zone in hints.for_zones or ()) if hints else (),
        nodes=tuple(node.name for node in hints.for_nodes or ()) if hints else (),
    )


def merge_slices(slices: Iterable[SliceEndpoints], port: PortKey) -> list[Endpoint]:
    """All endpoints of one port, each ip:port once, sorted.

    Where two slices claim the same ip:port, the later one wins unless it says terminating.
    """
    merged: dict[tuple[str, int], Endpoint] = {}
    for slice_ in slices:
        for endpoint in slice_.get(port, ()):
            key = (endpoint.ip, endpoint.port)
            if key not in merged or not endpoint.terminating:
                merged[key] = endpoint
    return sorted(merged.values())
