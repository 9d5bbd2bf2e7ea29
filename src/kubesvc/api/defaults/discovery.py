"""Defaults of EndpointSlices and Endpoints."""

from kubesvc.api.defaults.fields import Document, each, ensure, ensure_filled


def default_endpoint_slice(slice_: Document) -> None:
    ensure(slice_, "endpoints", [])
    ensure(slice_, "ports", [])
    for endpoint in each(slice_, "endpoints"):
        ensure(endpoint, "conditions", {})
    for port in each(slice_, "ports"):
        ensure(port, "name", "")
        ensure(port, "protocol", "TCP")


def default_endpoints(endpoints: Document) -> None:
    for subset in each(endpoints, "subsets"):
        for port in each(subset, "ports"):
            ensure_filled(port, "protocol", "TCP")
