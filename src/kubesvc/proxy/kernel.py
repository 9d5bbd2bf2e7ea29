"""The proxy's hands on the kernel: which backend, which families, which sysctls, whose rules to remove."""

import contextlib
import os
from collections.abc import Iterable
from functools import partial
from ipaddress import ip_interface
from pathlib import Path

from kubesvc.aio.clock import Clock
from kubesvc.linux.netlink import RouteSocket
from kubesvc.observe import log
from kubesvc.proxy.backend import Backend, BackendError
from kubesvc.proxy.counters_page import FamilyCounters, Plans
from kubesvc.proxy.counting import ConnectionCounts, DropCount, Read
from kubesvc.proxy.iptables.backend import open_iptables, remove_chains
from kubesvc.proxy.iptables.live import read_counts as iptables_counts
from kubesvc.proxy.iptables.live import read_invalid_drops
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.backend import NftablesBackend, remove_tables
from kubesvc.proxy.nftables.live import read_counts as nftables_counts
from kubesvc.proxy.options import Mode, ProxyOptions
from kubesvc.proxy.rules import RuleSettings, loopback_node_ports
from kubesvc.proxy.traffic_table import TrafficCounts, TrafficTable, remove_traffic_tables

MOST_FLOWS = 1 << 20
"""A machine of many cores needs no more than this; each flow takes memory. A floor of its own may say more."""

KUBE_PROXYS_TABLE = "kube-proxy"
_SYSCTL = Path("/proc/sys")
_HASHSIZE = Path("/sys/module/nf_conntrack/parameters/hashsize")
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_log = log("proxy")


def supported_families() -> list[Family]:
    """The families this network namespace speaks."""
    return [Family.IPV4, *([Family.IPV6] if (_SYSCTL / "net/ipv6").exists() else [])]


def open_backend(options: ProxyOptions, settings: RuleSettings) -> Backend:
    """The backend of the chosen mode for one family; raises BackendError if this machine cannot have it."""
    if options.mode == Mode.IPTABLES:
        return open_iptables(settings)
    return NftablesBackend(settings)


def counters_of(options: ProxyOptions, family: Family, plans: Plans, clock: Clock) -> FamilyCounters:
    """What the kernel counts in one family, for metrics."""
    traffic = None
    if options.traffic_bytes:
        table = TrafficTable(family, endpoints=options.endpoint_metrics)
        traffic = TrafficCounts(table, local_addresses, clock)
    drops = DropCount(partial(read_invalid_drops, family)) if options.mode == Mode.IPTABLES else None
    return FamilyCounters(plans, ConnectionCounts(_reader(options, family)), traffic, drops)


def _reader(options: ProxyOptions, family: Family) -> Read:
    """What reads the chosen mode's counters; endpoints' only where they are asked for."""
    if options.mode == Mode.IPTABLES:
        return partial(iptables_counts, family, endpoints=options.endpoint_metrics)
    return partial(nftables_counts, family, endpoints=options.endpoint_metrics)


def remove_rules() -> list[str]:
    """Remove every trace of every mode; what was removed. Raises BackendError where that is not permitted."""
    traffic = [f"traffic counters {family}" for family in remove_traffic_tables()]
    return [*(f"nftables {family}" for family in remove_tables()), *remove_chains(), *traffic, *remove_kube_proxys()]


def remove_kube_proxys() -> list[str]:
    """Remove the nftables tables of kube-proxy, which have a name of their own; its chains share theirs with ours.

    They would go on translating to endpoints that are gone. Raises BackendError where that is not permitted.
    """
    return [f"kube-proxy's nftables {family}" for family in remove_traffic_tables(KUBE_PROXYS_TABLE)]


def remove_other_modes(mode: Mode) -> None:
    """Remove what another mode may have left."""
    for other in Mode:
        if other is not mode:
            for what in _remove(other):
                _log.info("removed the rules of another mode", what=what)


def _remove(mode: Mode) -> list[str]:
    try:
        if mode is Mode.IPTABLES:
            return remove_chains()
        return [f"nftables {family}" for family in remove_tables()]
    except BackendError as err:
        _log.debug("nothing removed", mode=mode, reason=err)
        return []


def prepare_traffic(options: ProxyOptions, families: Iterable[Family]) -> None:
    """Make the families' tables that count bytes, or remove what an earlier start left; raises BackendError."""
    if options.traffic_bytes:
        for family in families:
            TrafficTable(family, endpoints=options.endpoint_metrics).ensure()
        return
    try:
        for removed in remove_traffic_tables():
            _log.info("removed traffic counters", family=removed)
    except BackendError as err:
        _log.debug("traffic counters not removed", reason=err)


def prepare_kernel(options: ProxyOptions) -> None:
    """Set the sysctls that rules rely on (behaviour row 32); what cannot be set is only logged.

    The size of the connection table belongs to the first network namespace alone: elsewhere it is read-only,
    and its buckets, which every namespace could write, are left alone.
    """
    at_least = {"net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1}
    if loopback_node_ports(options):
        at_least["net/ipv4/conf/all/route_localnet"] = 1
    exactly = {
        "net/netfilter/nf_conntrack_tcp_timeout_established": options.tcp_established_seconds,
        "net/netfilter/nf_conntrack_tcp_timeout_close_wait": options.tcp_close_wait_seconds,
        "net/netfilter/nf_conntrack_tcp_be_liberal": int(options.tcp_be_liberal),
        "net/netfilter/nf_conntrack_udp_timeout": options.udp_seconds,
        "net/netfilter/nf_conntrack_udp_timeout_stream": options.udp_stream_seconds,
    }
    for name, value in at_least.items():
        _set(name, value, least=True)
    flows = most_flows(options, os.cpu_count() or 1)
    if _set("net/netfilter/nf_conntrack_max", flows, least=True):
        _widen_flow_table(flows)
    for name, value in exactly.items():
        if value:
            _set(name, value)
    if options.oom_score_adj is not None:
        _write(_OOM_SCORE, options.oom_score_adj)


def most_flows(options: ProxyOptions, cores: int) -> int:
    """How many flows conntrack is to remember; 0 leaves that as it is."""
    per_core = min(options.conntrack_max_per_core * cores, MOST_FLOWS)
    return max(per_core, options.conntrack_min) if per_core else 0


def _widen_flow_table(flows: int) -> None:
    """A quarter as many buckets as flows, where there are fewer."""
    with contextlib.suppress(OSError, ValueError):
        if int(_HASHSIZE.read_text()) < flows // 4:
            _write(_HASHSIZE, flows // 4)


def _write(path: Path, value: int) -> None:
    try:
        path.write_text(str(value))
    except OSError as err:
        _log.debug("not set", path=path, reason=err)


def _set(name: str, value: int, *, least: bool = False) -> bool:
    """Whether it was written, having been something else."""
    path = _SYSCTL / name
    try:
        current = int(path.read_text())
        wanted = max(current, value) if least else value
        if wanted == current:
            return False
        path.write_text(str(wanted))
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as err:
        _log.debug("sysctl not set", name=name.replace("/", "."), reason=err)
        return False
    return True


def local_addresses() -> list[str]:
    """Every address of this network namespace."""
    with RouteSocket() as route:
        return [str(ip_interface(each.address).ip) for each in route.addresses()]
