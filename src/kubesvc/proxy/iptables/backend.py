"""Rules by iptables-restore: the iptables backend."""

from kubesvc.proxy.backend import Backend, BackendError
from kubesvc.proxy.rules import RuleSettings


def open_iptables(settings: RuleSettings) -> Backend:
    """The backend of one family; raises BackendError where iptables cannot be used."""
    raise BackendError("the iptables mode is not there yet")


def remove_chains() -> list[str]:
    """Remove everything this mode ever makes; what was removed."""
    return []
