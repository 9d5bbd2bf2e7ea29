"""KubeProxyConfiguration v1alpha1 (kubeproxy.config.k8s.io) -> options.

A file written for kube-proxy can be used as it is. Fields that concern modes or platforms we do not
have, and those that nobody knows, are left out with a warning, as kube-proxy does with the latter;
a value that cannot be is refused.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kubesvc.proxy.options import LocalDetector, Mode, ProxyOptions

API_VERSION, KIND = "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration"
E = TypeVar("E", Mode, LocalDetector)
HEALTHZ_PORT, METRICS_PORT = 10256, 10249
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000001, "µs": 0.000001, "ns": 0.000000001}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")


class ConfigError(ValueError):
    """A configuration that cannot be used; names the field, what it has and what it may have."""


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    pass


class _ClientConnection(_Part, frozen=True):
    kubeconfig: str = ""
    accept_content_types: str = ""
    content_type: str = ""
    qps: float = 0
    burst: int = 0


class _DetectLocal(_Part, frozen=True):
    bridge_interface: str = ""
    interface_name_prefix: str = ""
    cluster_cidrs: list[str] | None = msgspec.field(default=None, name="clusterCIDRs")


class _Rules(_Part, frozen=True):
    """`iptables` or `nftables`: the same fields but one."""

    masquerade_bit: int | None = None
    masquerade_all: bool = False
    localhost_node_ports: bool | None = None
    sync_period: str = ""
    min_sync_period: str = ""


class _Conntrack(_Part, frozen=True):
    max_per_core: int | None = None
    min: int | None = None
    tcp_established_timeout: str | None = None
    tcp_close_wait_timeout: str | None = None
    tcp_be_liberal: bool = False
    udp_timeout: str | None = None
    udp_stream_timeout: str | None = None


class _Document(_Part, frozen=True):
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
    said = _without_nulls(document)
    try:
        found = msgspec.convert(said, _Document)
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
        bind_address=found.bind_address or base.bind_address,
        bind_hard_fail=found.bind_address_hard_fail or base.bind_hard_fail,
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
        healthz_bind=with_port(found.healthz_bind_address, HEALTHZ_PORT) or base.healthz_bind,
        metrics_bind=with_port(found.metrics_bind_address, METRICS_PORT) or base.metrics_bind,
        conntrack_max_per_core=_or(conntrack.max_per_core, base.conntrack_max_per_core),
        conntrack_min=_or(conntrack.min, base.conntrack_min),
        tcp_established_seconds=_whole_seconds(
            "conntrack.tcpEstablishedTimeout", conntrack.tcp_established_timeout, base.tcp_established_seconds
        ),
        tcp_close_wait_seconds=_whole_seconds(
            "conntrack.tcpCloseWaitTimeout", conntrack.tcp_close_wait_timeout, base.tcp_close_wait_seconds
        ),
        tcp_be_liberal=conntrack.tcp_be_liberal or base.tcp_be_liberal,
        udp_seconds=_whole_seconds("conntrack.udpTimeout", conntrack.udp_timeout, base.udp_seconds),
        udp_stream_seconds=_whole_seconds(
            "conntrack.udpStreamTimeout", conntrack.udp_stream_timeout, base.udp_stream_seconds
        ),
        oom_score_adj=_or(found.oom_score_adj, base.oom_score_adj),
        warnings=(*base.warnings, *_warnings(said, found)),
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


T = TypeVar("T")


def _or(value: T | None, default: T) -> T:
    return default if value is None else value


def with_port(address: str, port: int) -> str:
    """An address alone is one on the default port, as kube-proxy takes it."""
    if not address or re.search(r"[^:]:\d+$|\]:\d+$|^:\d+$", address):
        return address
    return f"[{address.strip('[]')}]:{port}" if ":" in address else f"{address}:{port}"


def _warnings(said: object, found: _Document) -> Iterator[str]:
    for path in _unknown(said, _Document):
        yield f"configuration: {path} is not a field of {KIND}, and left out"
    for name, on in (found.feature_gates or {}).items():
        yield f"configuration: featureGates.{name}: {str(on).lower()} has no effect here"
    ours = found.client_connection
    ignored = {
        "clientConnection.acceptContentTypes": ours.accept_content_types,
        "clientConnection.contentType": ours.content_type,
        "clientConnection.qps": ours.qps,
        "clientConnection.burst": ours.burst,
        "enableProfiling": found.enable_profiling,
        "showHiddenMetricsForVersion": found.show_hidden_metrics_for_version,
        "configSyncPeriod": found.config_sync_period,
        "portRange": found.port_range,
        "logging": found.logging,
        "ipvs": found.ipvs,
        "winkernel": found.winkernel,
        "windowsRunAsService": found.windows_run_as_service,
    }
    yield from (f"configuration: {path} has no effect here" for path, value in ignored.items() if _says(value))


def _says(value: object) -> bool:
    """Whether a value differs from what kubeadm writes where nothing is meant."""
    if isinstance(value, dict):
        return any(_says(each) for each in value.values())
    return bool(value) and value != "0s"


def _unknown(said: object, part: type[msgspec.Struct], path: str = "") -> Iterator[str]:
    fields = {each.encode_name: each.type for each in msgspec.structs.fields(part)}
    for name, value in said.items() if isinstance(said, dict) else ():
        kind = fields.get(name)
        if name not in fields:
            yield f"{path}{name}"
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from _unknown(value, kind, f"{path}{name}.")


def _without_nulls(value: object) -> object:
    """`null` says what leaving a field out says."""
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return value


def _choice(field: str, text: str, options: type[E]) -> E:
    try:
        return options(text)
    except ValueError:
        known = ", ".join(options)
        raise ConfigError(f"{field}: {text!r} is not supported (supported: {known})") from None
