"""KubeProxyConfiguration v1alpha1 (kubeproxy.config.k8s.io) -> options.

A file written for kube-proxy can be used as it is: fields that concern modes or platforms we do not
have are accepted and without effect; a field that nobody knows is refused, as kube-proxy does.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kubesvc.proxy.options import LocalDetector, Mode, ProxyOptions

API_VERSION, KIND = "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration"
E = TypeVar("E", Mode, LocalDetector)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000001, "µs": 0.000001, "ns": 0.000000001}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")


class ConfigError(ValueError):
    """A configuration that cannot be used; names the field, what it has and what it may have."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    pass


class _ClientConnection(_Strict, frozen=True):
    kubeconfig: str = ""
    accept_content_types: str = ""
    content_type: str = ""
    qps: float = 0
    burst: int = 0


class _DetectLocal(_Strict, frozen=True):
    bridge_interface: str = ""
    interface_name_prefix: str = ""
    cluster_cidrs: list[str] | None = msgspec.field(default=None, name="clusterCIDRs")


class _Rules(_Strict, frozen=True):
    """`iptables` or `nftables`: the same fields but one."""

    masquerade_bit: int | None = None
    masquerade_all: bool = False
    localhost_node_ports: bool | None = None
    sync_period: str = ""
    min_sync_period: str = ""


class _Conntrack(_Strict, frozen=True):
    max_per_core: int | None = None
    min: int | None = None
    tcp_established_timeout: str | None = None
    tcp_close_wait_timeout: str | None = None
    tcp_be_liberal: bool = False
    udp_timeout: str = ""
    udp_stream_timeout: str = ""


class _Document(_Strict, frozen=True):
    api_version: str
    kind: str
    mode: str = ""
    client_connection: _ClientConnection = _ClientConnection()
    hostname_override: str = ""
    bind_address: str = ""
    bind_address_hard_fail: bool = False
    healthz_bind_address: str = ""
    metrics_bind_address: str = ""
    enable_profiling: bool = False
    show_hidden_metrics_for_version: str = ""
    cluster_cidr: str = msgspec.field(default="", name="clusterCIDR")
    detect_local_mode: str = ""
    detect_local: _DetectLocal = _DetectLocal()
    node_port_addresses: list[str] | None = None
    iptables: _Rules = _Rules()
    nftables: _Rules = _Rules()
    conntrack: _Conntrack = _Conntrack()
    config_sync_period: str = ""
    oom_score_adj: int | None = None
    port_range: str = ""
    feature_gates: dict[str, bool] | None = None
    logging: Any = None
    ipvs: Any = None
    winkernel: Any = None
    windows_run_as_service: bool = False


def options_from_document(document: object, base: ProxyOptions) -> ProxyOptions:
    """`base` with everything that the document says; raises ConfigError."""
    try:
        found = msgspec.convert(document, _Document)
    except msgspec.ValidationError as err:
        raise ConfigError(f"configuration: {err}") from err
    if (found.api_version, found.kind) != (API_VERSION, KIND):
        raise ConfigError(f"configuration: expected {API_VERSION} {KIND}, found {found.api_version} {found.kind}")
    mode = _choice("mode", found.mode, Mode) if found.mode else Mode(base.mode)
    rules = found.nftables if mode is Mode.NFTABLES else found.iptables
    conntrack = found.conntrack
    bit = rules.masquerade_bit if rules.masquerade_bit is not None else base.masquerade_bit
    if not 0 <= bit <= 31:
        raise ConfigError(f"{mode}.masqueradeBit: {bit} is not between 0 and 31")
    localhost = found.iptables.localhost_node_ports
    return replace(
        base,
        mode=mode,
        kubeconfig=Path(found.client_connection.kubeconfig) if found.client_connection.kubeconfig else base.kubeconfig,
        node_name=found.hostname_override or base.node_name,
        cluster_cidr=",".join(found.detect_local.cluster_cidrs or ()) or found.cluster_cidr or base.cluster_cidr,
        detect_local=_choice("detectLocalMode", found.detect_local_mode, LocalDetector)
        if found.detect_local_mode
        else base.detect_local,
        pod_bridge=found.detect_local.bridge_interface or base.pod_bridge,
        pod_interface_prefix=found.detect_local.interface_name_prefix or base.pod_interface_prefix,
        nodeport_addresses=tuple(found.node_port_addresses or base.nodeport_addresses),
        masquerade_all=rules.masquerade_all or base.masquerade_all,
        masquerade_bit=bit,
        localhost_nodeports=localhost if localhost is not None else base.localhost_nodeports,
        # kube-proxy's default of 1 s limits a cost that this proxy does not have: only what is written here counts.
        min_sync_period=_seconds(f"{mode}.minSyncPeriod", rules.min_sync_period, base.min_sync_period),
        sync_period=_seconds(f"{mode}.syncPeriod", rules.sync_period, base.sync_period),
        healthz_bind=_bind(found.healthz_bind_address, 10256) or base.healthz_bind,
        metrics_bind=_bind(found.metrics_bind_address, 10249) or base.metrics_bind,
        conntrack_max_per_core=_or(conntrack.max_per_core, base.conntrack_max_per_core),
        conntrack_min=_or(conntrack.min, base.conntrack_min),
        tcp_established_seconds=_whole_seconds(
            "conntrack.tcpEstablishedTimeout", conntrack.tcp_established_timeout, base.tcp_established_seconds
        ),
        tcp_close_wait_seconds=_whole_seconds(
            "conntrack.tcpCloseWaitTimeout", conntrack.tcp_close_wait_timeout, base.tcp_close_wait_seconds
        ),
        tcp_be_liberal=conntrack.tcp_be_liberal or base.tcp_be_liberal,
    )


def parse_duration(text: str) -> float | None:
    """Seconds of `30s`, `1h0m0s`, `250ms` or `0`; None for anything else."""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _seconds(field: str, text: str, default: float) -> float:
    if not text:
        return default
    seconds = parse_duration(text)
    if seconds is None:
        raise ConfigError(f"{field}: {text!r} is not a duration such as 30s or 1h0m0s")
    return seconds or default


def _whole_seconds(field: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    seconds = parse_duration(text)
    if seconds is None:
        raise ConfigError(f"{field}: {text!r} is not a duration such as 30s or 1h0m0s")
    return int(seconds)


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _bind(address: str, port: int) -> str:
    """kube-proxy takes an address alone as one on the default port."""
    if not address or re.search(r"[^:]:\d+$|\]:\d+$", address):
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _choice(field: str, text: str, options: type[E]) -> E:
    try:
        return options(text)
    except ValueError:
        known = ", ".join(options)
        raise ConfigError(f"{field}: {text!r} is not supported (supported: {known})") from None
