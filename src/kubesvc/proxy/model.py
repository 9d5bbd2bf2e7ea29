"""The proxy's nouns: service ports, endpoints, and the plan that every backend compiles.

A `PortPlan` says everything about one port of one Service in one address family; nothing in it
depends on another Service, on a backend, or on time. Backends compile plans one by one, which is
what keeps the cost of a change independent of the size of the cluster.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Family(StrEnum):
    """An address family, named as EndpointSlices and `spec.ipFamilies` name it."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"


PROTOCOL_NUMBERS = {"TCP": 6, "UDP": 17, "SCTP": 132}


class ServicePortName(NamedTuple):
    """Names one port of one Service; protocols of one port name are distinct (DNS on UDP and TCP)."""

    namespace: str
    service: str
    port: str
    protocol: str

    def __str__(self) -> str:
        suffix = f":{self.port}" if self.port else ""
        return f"{self.namespace}/{self.service}{suffix}"


class Target(NamedTuple):
    """Where a connection goes: an endpoint's address and port."""

    ip: str
    port: int


class Endpoint(NamedTuple):
    """One address of an EndpointSlice for one port, conditions resolved to booleans."""

    ip: str
    port: int
    node: str
    ready: bool
    serving: bool
    terminating: bool
    zones: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()

    @property
    def target(self) -> Target:
        return Target(self.ip, self.port)


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service in one family: where it listens and by which policies."""

    name: ServicePortName
    family: Family
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int = 0
    internal_local: bool = False
    external_local: bool = False
    health_check_node_port: int = 0
    external_type: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address of its own; node ports are at the node's."""
        return (self.cluster_ip, *self.external_ips, *self.load_balancer_ips)

    @property
    def external(self) -> bool:
        """Whether anything outside the cluster may address this port."""
        return self.external_type or bool(self.external_ips or self.load_balancer_ips)

    @property
    def uses_cluster_list(self) -> bool:
        return not self.internal_local or self.external

    @property
    def uses_local_list(self) -> bool:
        return self.internal_local or (self.external_local and self.external)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the plan needs to know about the node it is made for."""

    name: str
    zone: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortPlan:
    """A service port with the endpoints this node may choose, in order, without duplicates.

    `cluster` serves every policy that is not Local, `local` the Local ones. When a list that a
    policy needs is empty, new connections are dropped if `any_usable`, else rejected.
    """

    service: ServicePort
    cluster: tuple[Target, ...] = ()
    local: tuple[Target, ...] = ()
    any_usable: bool = False
    hairpins: tuple[str, ...] = ()
    serving: tuple[Target, ...] = ()
    """Every target that may keep its flows, for UDP only: what conntrack still points elsewhere is stale."""
    allow_vip_sources: bool = False

    @property
    def name(self) -> ServicePortName:
        return self.service.name

    @property
    def targets(self) -> tuple[Target, ...]:
        """Both lists, each target once, sorted."""
        if not self.local:
            return self.cluster
        return tuple(sorted({*self.cluster, *self.local}))


class HealthCheck(NamedTuple):
    """What a healthCheckNodePort answers: the number of distinct local ready addresses."""

    namespace: str
    service: str
    port: int
    local_ready: int


class Complaint(NamedTuple):
    """Something in an object that the proxy cannot use, and therefore leaves out."""

    kind: str
    namespace: str
    name: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """The plans of all ports of one Service in one family."""

    ports: dict[ServicePortName, PortPlan] = field(default_factory=dict)
    health: HealthCheck | None = None


EMPTY_SERVICE_PLAN = ServicePlan()
