"""Namespaces, configuration, identities, leases, and any object by its metadata."""

from kubesvc.api.views.base import ObjectMeta, View


class NamespaceSpec(View, frozen=True):
    finalizers: tuple[str, ...] | None = None


class NamespaceStatus(View, frozen=True):
    phase: str = ""


class Namespace(View, frozen=True):
    metadata: ObjectMeta
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class ConfigMap(View, frozen=True):
    metadata: ObjectMeta
    data: dict[str, str] | None = None
    binary_data: dict[str, bytes] | None = None


class Secret(View, frozen=True):
    metadata: ObjectMeta
    data: dict[str, bytes] | None = None
    type: str = "Opaque"


class ServiceAccount(View, frozen=True):
    metadata: ObjectMeta
    automount_service_account_token: bool | None = None


class LeaseSpec(View, frozen=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None


class Lease(View, frozen=True):
    metadata: ObjectMeta
    spec: LeaseSpec = LeaseSpec()


class ServiceCIDRSpec(View, frozen=True):
    cidrs: tuple[str, ...] | None = None


class ServiceCIDR(View, frozen=True):
    metadata: ObjectMeta
    spec: ServiceCIDRSpec = ServiceCIDRSpec()


class Partial(View, frozen=True):
    """Any object when only its metadata matters."""

    metadata: ObjectMeta
    api_version: str = ""
    kind: str = ""
