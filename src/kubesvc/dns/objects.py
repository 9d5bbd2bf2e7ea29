"""Services, EndpointSlices, Namespaces and Pods with just the fields that names are made from.

Narrower than `api.views`: a cluster's slices are the bulk of what this server holds in memory. For
the same reason Services, slices and pods are cached as their rows, `row` (packed) in place of the rest.
"""

import msgspec

from kubesvc.api.views.base import View, json_name


class Annotations(View, frozen=True):
    """`trigger_time`: since when the endpoints should have been these."""

    trigger_time: str = msgspec.field(default="", name="endpoints.kubernetes.io/last-change-trigger-time")


class Bare(msgspec.Struct, gc=False, rename=json_name):
    """Metadata where no label matters. Of what is kept, the revision moves on while nothing else changes."""

    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class Metadata(Bare, gc=False):
    labels: dict[str, str] | None = None
    annotations: Annotations | None = None


class ServicePort(View, frozen=True):
    port: int
    name: str = ""
    protocol: str = "TCP"


class ServiceSpec(View, frozen=True):
    type: str = "ClusterIP"
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] | None = None
    external_name: str = ""
    ports: tuple[ServicePort, ...] | None = None
    selector: dict[str, str] | None = None


class Service(View, frozen=True):
    metadata: Bare
    spec: ServiceSpec = ServiceSpec()
    row: bytes | None = None
    is_selected: bool = False  # has a selector, for those whose `row` stands for all else


class EndpointConditions(View, frozen=True):
    ready: bool | None = None


class TargetRef(View, frozen=True):
    kind: str = ""
    name: str = ""


class Endpoint(View, frozen=True):
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    target_ref: TargetRef | None = None


class EndpointPort(View, frozen=True):
    name: str | None = None
    protocol: str | None = None
    port: int | None = None


class EndpointSlice(View, frozen=True):
    metadata: Metadata
    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None
    row: bytes | None = None


class Namespace(View, frozen=True):
    metadata: Bare


class PodIP(View, frozen=True):
    ip: str = ""


class PodStatus(View, frozen=True):
    phase: str = ""
    pod_ip: str = ""
    pod_ips: tuple[PodIP, ...] | None = None


class PodSpec(View, frozen=True):
    host_network: bool = False


class Pod(View, frozen=True):
    metadata: Bare
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()
    row: bytes | None = None
