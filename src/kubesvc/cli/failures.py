"""What the layers below raise, as sentences with the next step; anything else is a defect and shows its traceback."""

import errno
import os

from kubesvc.cli import exits
from kubesvc.cli.exits import Refusal

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_DOCTOR = "kubesvc doctor says what this machine lacks"
_NEXT = {
    errno.EADDRINUSE: "ss -lntup shows who has the port",
    errno.EADDRNOTAVAIL: "ip address shows the addresses that are here",
}


def explain(err: Exception) -> Refusal | None:
    """The refusal that `err` means to a person, None when it means a defect."""
    from kubesvc.apiserver.options import CannotStart
    from kubesvc.cluster.addresses import NoFreeNetwork
    from kubesvc.cluster.kubeconfig_files import KubeconfigError
    from kubesvc.cluster.ledger import ClusterError
    from kubesvc.cluster.topology import BadName
    from kubesvc.proxy.backend import BackendError
    from kubesvc.proxy.config import ConfigError

    if isinstance(err, ClusterError | CannotStart):
        return Refusal(str(err), err.hint)
    if isinstance(err, BadName | ConfigError):
        return Refusal(str(err), code=exits.USAGE)
    if isinstance(err, BackendError):
        denied = any(said in str(err) for said in ("ermission denied", "peration not permitted"))
        code = exits.PRIVILEGE if denied else exits.FAILED
        return Refusal(str(err), _privilege_hint() if denied else _DOCTOR, code=code)
    if isinstance(err, NoFreeNetwork | KubeconfigError):
        return Refusal(str(err))
    return _explain_client(err) or _explain_system(err)


def _explain_client(err: Exception) -> Refusal | None:
    from kubesvc.api.status import ApiError, Timeout
    from kubesvc.client.errors import ClientError, KubeconfigError

    if isinstance(err, ApiError):
        code = exits.TIMED_OUT if isinstance(err, Timeout) else exits.FAILED
        return Refusal(f"from server ({err.reason}): {err.message}", code=code)
    if isinstance(err, KubeconfigError):
        return Refusal(str(err), "--kubeconfig names another file; kubesvc list shows the clusters of this machine")
    if isinstance(err, ClientError):
        return Refusal(str(err), "kubesvc list shows the clusters of this machine, kubesvc up starts one")
    return None


def _explain_system(err: Exception) -> Refusal | None:
    if not isinstance(err, OSError):
        return None
    what = f"{err.filename}: {err.strerror}" if err.filename else err.strerror or str(err)
    if err.errno in (errno.EPERM, errno.EACCES):
        return Refusal(what, _privilege_hint(), code=exits.PRIVILEGE)
    if err.errno in _NO_SPACE:
        return Refusal(what, "free some space, or point KUBESVC_HOME at another disk")
    return Refusal(what, _NEXT.get(err.errno or 0, _DOCTOR))


def _privilege_hint() -> str:
    return "run it with sudo" if os.geteuid() != 0 else _DOCTOR
