"""The resources kubesvc serves and consumes, as the field names them (API conventions, discovery)."""

from dataclasses import dataclass
from typing import NamedTuple


class Key(NamedTuple):
    """Names one object of a resource; `namespace` is "" for cluster-scoped ones."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def revision_of(resource_version: str) -> int:
    """A resourceVersion as a number that tells older from newer (KEP-5504); 0 where a server uses something else."""
    return int(resource_version) if resource_version.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the API: where it lives and what it is called."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def group_version(self) -> str:
        """`v1` or `apps/v1`, as in an object's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """`services` or `deployments.apps`, as in error messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def schema_type(self) -> str:
        """The name of the object's type in the schema table: `core.v1.Service`, `apps.v1.Deployment`."""
        group = self.group.removesuffix(".k8s.io") or "core"
        return f"{group}.{self.version}.{self.kind}"

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, of one object, or of a subresource of it."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


NAMESPACES = Resource(
    "", "v1", "namespaces", "Namespace", namespaced=False, short_names=("ns",), subresources=("finalize", "status")
)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False, short_names=("no",), subresources=("status",))
PODS = Resource(
    "", "v1", "pods", "Pod", short_names=("po",), categories=("all",),
    subresources=("attach", "binding", "eviction", "exec", "log", "portforward", "status"),
)  # fmt: skip
SERVICES = Resource(
    "", "v1", "services", "Service", short_names=("svc",), categories=("all",), subresources=("status",)
)
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints", short_names=("ep",))
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",))
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICEACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",), subresources=("token",))
EVENTS = Resource("", "v1", "events", "Event", short_names=("ev",))
ENDPOINTSLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
DEPLOYMENTS = Resource(
    "apps", "v1", "deployments", "Deployment", short_names=("deploy",), categories=("all",),
    subresources=("scale", "status"),
)  # fmt: skip
REPLICASETS = Resource(
    "apps", "v1", "replicasets", "ReplicaSet", short_names=("rs",), categories=("all",),
    subresources=("scale", "status"),
)  # fmt: skip
SERVICECIDRS = Resource(
    "networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", namespaced=False, subresources=("status",)
)
IPADDRESSES = Resource("networking.k8s.io", "v1", "ipaddresses", "IPAddress", namespaced=False, short_names=("ip",))

RESOURCES: tuple[Resource, ...] = (
    NAMESPACES, NODES, PODS, SERVICES, ENDPOINTS, CONFIGMAPS, SECRETS, SERVICEACCOUNTS, EVENTS,
    ENDPOINTSLICES, LEASES, DEPLOYMENTS, REPLICASETS, SERVICECIDRS, IPADDRESSES,
)  # fmt: skip

BY_KIND: dict[tuple[str, str], Resource] = {(r.group_version, r.kind): r for r in RESOURCES}
BY_PATH: dict[tuple[str, str, str], Resource] = {(r.group, r.version, r.plural): r for r in RESOURCES}


def find_resource(word: str) -> Resource | None:
    """The resource a person means by `svc`, `service`, `services`, `deploy` or `deployments.apps`."""
    wanted = word.lower()
    for resource in RESOURCES:
        names = (resource.plural, resource.singular, resource.group_resource, *resource.short_names)
        if wanted in names:
            return resource
    return None
