"""The proxy's hands on the kernel: which backend, which families, which sysctls, whose rules to remove."""

from pathlib import Path

from kubesvc.observe import log
from kubesvc.proxy.backend import Backend, BackendError
from kubesvc.proxy.iptables.backend import open_iptables, remove_chains
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.backend import NftablesBackend, remove_tables
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


def remove_rules() -> list[str]:
    """Remove every trace of every mode; what was removed."""
    removed = []
    for mode in Mode:
        removed += _remove(mode)
    return removed


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
    """Set the sysctls that rules rely on; what is not permitted or not there is only logged."""
    wanted = {"net/ipv4/ip_forward": 1}
    if Path("/proc/sys/net/ipv6/conf/all").exists():
        wanted["net/ipv6/conf/all/forwarding"] = 1
    if options.mode == Mode.IPTABLES and options.localhost_nodeports:
        wanted["net/ipv4/conf/all/route_localnet"] = 1
    for name, value in wanted.items():
        _set(name, value)


def _set(name: str, value: int) -> None:
    path = _SYSCTL / name
    try:
        if int(path.read_text()) < value:
            path.write_text(str(value))
    except (OSError, ValueError) as err:
        _log.warning("sysctl not set", name=name.replace("/", "."), wanted=value, reason=err)
