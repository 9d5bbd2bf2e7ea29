"""The proxy's hands on the kernel: which backend, which families, which sysctls, whose rules to remove."""

import os
from functools import partial
from pathlib import Path

from kubesvc.observe import log
from kubesvc.proxy.backend import Backend, BackendError
from kubesvc.proxy.counting import Read
from kubesvc.proxy.iptables.backend import open_iptables, remove_chains
from kubesvc.proxy.iptables.live import read_counts as iptables_counts
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.backend import NftablesBackend, remove_tables
from kubesvc.proxy.nftables.live import read_counts as nftables_counts
from kubesvc.proxy.options import Mode, ProxyOptions
from kubesvc.proxy.rules import RuleSettings

_SYSCTL = Path("/proc/sys")
_log = log("proxy")


def supported_families() -> list[Family]:
    """The families this network namespace speaks."""
    return [Family.IPV4, *([Family.IPV6] if (_SYSCTL / "net/ipv6").exists() else [])]


def open_backend(options: ProxyOptions, settings: RuleSettings) -> Backend:
    """The backend of the chosen mode for one family; raises BackendError if this machine cannot have it."""
    if options.mode == Mode.IPTABLES:
        return open_iptables(settings)
    return NftablesBackend(settings)


def counter_reader(options: ProxyOptions, family: Family) -> Read:
    """What reads the chosen mode's counters; endpoints' only where they are asked for."""
    if options.mode == Mode.IPTABLES:
        return partial(iptables_counts, family)
    return partial(nftables_counts, family, endpoints=options.endpoint_metrics)


def remove_rules() -> list[str]:
    """Remove every trace of every mode; what was removed. Raises BackendError where that is not permitted."""
    return [*(f"nftables {family}" for family in remove_tables()), *remove_chains()]


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


def prepare_kernel(options: ProxyOptions) -> None:
    """Set the sysctls that rules rely on (behaviour row 32); what cannot be set is only logged.

    The size of the connection table belongs to the first network namespace alone: elsewhere it is read-only.
    """
    at_least = {"net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1}
    if options.mode == Mode.IPTABLES and options.localhost_nodeports:
        at_least["net/ipv4/conf/all/route_localnet"] = 1
    per_core = options.conntrack_max_per_core * (os.cpu_count() or 1)
    at_least["net/netfilter/nf_conntrack_max"] = max(per_core, options.conntrack_min) if per_core else 0
    exactly = {
        "net/netfilter/nf_conntrack_tcp_timeout_established": options.tcp_established_seconds,
        "net/netfilter/nf_conntrack_tcp_timeout_close_wait": options.tcp_close_wait_seconds,
        "net/netfilter/nf_conntrack_tcp_be_liberal": int(options.tcp_be_liberal),
    }
    for name, value in at_least.items():
        _set(name, value, least=True)
    for name, value in exactly.items():
        if value:
            _set(name, value)


def _set(name: str, value: int, *, least: bool = False) -> None:
    path = _SYSCTL / name
    try:
        current = int(path.read_text())
        wanted = max(current, value) if least else value
        if wanted != current:
            path.write_text(str(wanted))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as err:
        _log.debug("sysctl not set", name=name.replace("/", "."), reason=err)
