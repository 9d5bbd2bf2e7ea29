"""Pods: their specification and status."""

from typing import Any

import msgspec

from kubesvc.api.views.base import ObjectMeta, View
from kubesvc.api.views.containers import Container, PodSecurityContext
from kubesvc.api.views.volumes import Volume


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
