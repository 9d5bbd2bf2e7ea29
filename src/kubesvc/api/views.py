"""Objects as their consumers see them: frozen structs with just the fields that are used.

The structs decode straight from the bytes of an API answer; unknown fields are skipped and never
held. Field names are Kubernetes' own in snake case (`cluster_ip` is `clusterIP`). A field that
upstream may send as `null` says so in its type.
"""

from typing import Any

import msgspec

_ACRONYMS = {"ip": "IP", "ips": "IPs", "cidr": "CIDR", "cidrs": "CIDRs", "id": "ID", "pid": "PID", "ipc": "IPC"}


def json_name(field: str) -> str:
    """`cluster_ips` becomes `clusterIPs`, `pod_cidr` becomes `podCIDR`, `ip` stays `ip`."""
    first, *rest = field.rstrip("_").split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


class View(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename=json_name):
    """Base of all views."""


class OwnerReference(View, frozen=True):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(View, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    generate_name: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    finalizers: tuple[str, ...] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None


class LabelSelectorRequirement(View, frozen=True):
    key: str
    operator: str
    values: tuple[str, ...] | None = None


class LabelSelector(View, frozen=True):
    match_labels: dict[str, str] | None = None
    match_expressions: tuple[LabelSelectorRequirement, ...] | None = None


class ObjectReference(View, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


# Services and what stands behind them


class ServicePort(View, frozen=True):
    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None
    target_port: int | str = 0
    node_port: int = 0


class ClientIPConfig(View, frozen=True):
    timeout_seconds: int | None = None


class SessionAffinityConfig(View, frozen=True):
    client_ip: ClientIPConfig | None = None


class ServiceSpec(View, frozen=True):
    type: str = "ClusterIP"
    ports: tuple[ServicePort, ...] | None = None
    selector: dict[str, str] | None = None
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] | None = None
    ip_families: tuple[str, ...] | None = None
    ip_family_policy: str | None = None
    external_ips: tuple[str, ...] | None = None
    external_name: str = ""
    session_affinity: str = "None"
    session_affinity_config: SessionAffinityConfig | None = None
    load_balancer_ip: str = ""
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] | None = None
    allocate_load_balancer_node_ports: bool | None = None
    external_traffic_policy: str = ""
    internal_traffic_policy: str | None = None
    health_check_node_port: int = 0
    publish_not_ready_addresses: bool = False
    traffic_distribution: str | None = None


class LoadBalancerIngress(View, frozen=True):
    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = msgspec.field(default=None, name="ipMode")


class LoadBalancerStatus(View, frozen=True):
    ingress: tuple[LoadBalancerIngress, ...] | None = None


class ServiceStatus(View, frozen=True):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(View, frozen=True):
    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class EndpointConditions(View, frozen=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForZone(View, frozen=True):
    name: str


class ForNode(View, frozen=True):
    name: str


class EndpointHints(View, frozen=True):
    for_zones: tuple[ForZone, ...] | None = None
    for_nodes: tuple[ForNode, ...] | None = None


class Endpoint(View, frozen=True):
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(View, frozen=True):
    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    app_protocol: str | None = None


class EndpointSlice(View, frozen=True):
    metadata: ObjectMeta
    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None


class EndpointAddress(View, frozen=True):
    ip: str = ""
    hostname: str = ""
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointsPort(View, frozen=True):
    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None


class EndpointSubset(View, frozen=True):
    addresses: tuple[EndpointAddress, ...] | None = None
    not_ready_addresses: tuple[EndpointAddress, ...] | None = None
    ports: tuple[EndpointsPort, ...] | None = None


class Endpoints(View, frozen=True):
    metadata: ObjectMeta
    subsets: tuple[EndpointSubset, ...] | None = None


# Pods


class ContainerPort(View, frozen=True):
    container_port: int
    name: str = ""
    protocol: str = "TCP"
    host_port: int = 0


class ObjectFieldSelector(View, frozen=True):
    field_path: str


class KeySelector(View, frozen=True):
    key: str
    name: str = ""
    optional: bool | None = None


class ResourceFieldSelector(View, frozen=True):
    resource: str
    container_name: str = ""
    divisor: str | int | float = ""


class EnvVarSource(View, frozen=True):
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(View, frozen=True):
    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class LocalReference(View, frozen=True):
    name: str = ""
    optional: bool | None = None


class EnvFromSource(View, frozen=True):
    prefix: str = ""
    config_map_ref: LocalReference | None = None
    secret_ref: LocalReference | None = None


class ExecAction(View, frozen=True):
    command: tuple[str, ...] | None = None


class HTTPHeader(View, frozen=True):
    name: str
    value: str = ""


class HTTPGetAction(View, frozen=True):
    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HTTPHeader, ...] | None = None


class TCPSocketAction(View, frozen=True):
    port: int | str
    host: str = ""


class Probe(View, frozen=True):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: dict[str, Any] | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class SleepAction(View, frozen=True):
    seconds: int


class LifecycleHandler(View, frozen=True):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(View, frozen=True):
    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None


class VolumeMount(View, frozen=True):
    name: str
    mount_path: str
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False


class ResourceRequirements(View, frozen=True):
    requests: dict[str, Any] | None = None
    limits: dict[str, Any] | None = None


class Capabilities(View, frozen=True):
    add: tuple[str, ...] | None = None
    drop: tuple[str, ...] | None = None


class SecurityContext(View, frozen=True):
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool | None = None
    capabilities: Capabilities | None = None


class PodSecurityContext(View, frozen=True):
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    fs_group: int | None = None
    supplemental_groups: tuple[int, ...] | None = None


class Container(View, frozen=True):
    name: str
    image: str = ""
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    working_dir: str = ""
    env: tuple[EnvVar, ...] | None = None
    env_from: tuple[EnvFromSource, ...] | None = None
    ports: tuple[ContainerPort, ...] | None = None
    volume_mounts: tuple[VolumeMount, ...] | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    resources: ResourceRequirements | None = None
    restart_policy: str | None = None
    image_pull_policy: str = ""
    stdin: bool = False
    tty: bool = False
    termination_message_path: str = ""
    termination_message_policy: str = "File"
    security_context: SecurityContext | None = None


class KeyToPath(View, frozen=True):
    key: str
    path: str
    mode: int | None = None


class ConfigMapVolumeSource(View, frozen=True):
    name: str = ""
    items: tuple[KeyToPath, ...] | None = None
    default_mode: int | None = None
    optional: bool | None = None


class SecretVolumeSource(View, frozen=True):
    secret_name: str = ""
    items: tuple[KeyToPath, ...] | None = None
    default_mode: int | None = None
    optional: bool | None = None


class EmptyDirVolumeSource(View, frozen=True):
    medium: str = ""


class HostPathVolumeSource(View, frozen=True):
    path: str
    type: str | None = None


class DownwardAPIVolumeFile(View, frozen=True):
    path: str
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = None


class DownwardAPIVolumeSource(View, frozen=True):
    items: tuple[DownwardAPIVolumeFile, ...] | None = None
    default_mode: int | None = None


class ServiceAccountTokenProjection(View, frozen=True):
    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class VolumeProjection(View, frozen=True):
    config_map: ConfigMapVolumeSource | None = None
    secret: ConfigMapVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = msgspec.field(default=None, name="downwardAPI")
    service_account_token: ServiceAccountTokenProjection | None = None


class ProjectedVolumeSource(View, frozen=True):
    sources: tuple[VolumeProjection, ...] | None = None
    default_mode: int | None = None


class Volume(View, frozen=True):
    name: str
    config_map: ConfigMapVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = msgspec.field(default=None, name="downwardAPI")
    projected: ProjectedVolumeSource | None = None


class PodDNSConfigOption(View, frozen=True):
    name: str
    value: str | None = None


class PodDNSConfig(View, frozen=True):
    nameservers: tuple[str, ...] | None = None
    searches: tuple[str, ...] | None = None
    options: tuple[PodDNSConfigOption, ...] | None = None


class HostAlias(View, frozen=True):
    ip: str
    hostnames: tuple[str, ...] | None = None


class PodReadinessGate(View, frozen=True):
    condition_type: str


class Toleration(View, frozen=True):
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class PodSpec(View, frozen=True):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    node_name: str = ""
    node_selector: dict[str, str] | None = None
    affinity: dict[str, Any] | None = None
    restart_policy: str = "Always"
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None
    dns_policy: str = "ClusterFirst"
    dns_config: PodDNSConfig | None = None
    host_network: bool = False
    host_aliases: tuple[HostAlias, ...] | None = None
    hostname: str = ""
    subdomain: str = ""
    set_hostname_as_fqdn: bool | None = msgspec.field(default=None, name="setHostnameAsFQDN")
    service_account_name: str = ""
    automount_service_account_token: bool | None = None
    enable_service_links: bool | None = None
    readiness_gates: tuple[PodReadinessGate, ...] | None = None
    security_context: PodSecurityContext | None = None
    host_pid: bool = False
    scheduler_name: str = ""
    tolerations: tuple[Toleration, ...] | None = None


class PodCondition(View, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class PodIP(View, frozen=True):
    ip: str


class PodStatus(View, frozen=True):
    phase: str = ""
    conditions: tuple[PodCondition, ...] | None = None
    pod_ip: str = ""
    pod_ips: tuple[PodIP, ...] | None = None
    host_ip: str = ""
    reason: str = ""
    message: str = ""
    start_time: str | None = None
    container_statuses: tuple[dict[str, Any], ...] | None = None
    init_container_statuses: tuple[dict[str, Any], ...] | None = None
    qos_class: str = msgspec.field(default="", name="qosClass")


class Pod(View, frozen=True):
    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


# Nodes and the rest


class Taint(View, frozen=True):
    key: str
    effect: str
    value: str = ""
    time_added: str | None = None


class NodeSpec(View, frozen=True):
    pod_cidr: str = ""
    pod_cidrs: tuple[str, ...] | None = None
    provider_id: str = ""
    unschedulable: bool = False
    taints: tuple[Taint, ...] | None = None


class NodeAddress(View, frozen=True):
    type: str
    address: str


class NodeCondition(View, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_heartbeat_time: str | None = None
    last_transition_time: str | None = None


class DaemonEndpoint(View, frozen=True):
    port: int = msgspec.field(default=0, name="Port")


class NodeDaemonEndpoints(View, frozen=True):
    kubelet_endpoint: DaemonEndpoint = DaemonEndpoint()


class NodeStatus(View, frozen=True):
    addresses: tuple[NodeAddress, ...] | None = None
    conditions: tuple[NodeCondition, ...] | None = None
    allocatable: dict[str, Any] | None = None
    daemon_endpoints: NodeDaemonEndpoints = NodeDaemonEndpoints()


class Node(View, frozen=True):
    metadata: ObjectMeta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


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


class Partial(View, frozen=True):
    """Any object when only its metadata matters."""

    metadata: ObjectMeta
    api_version: str = ""
    kind: str = ""
