"""What the layers below raise, as sentences with the next step; anything else is a defect and shows its traceback."""

import errno
import os

from kubesvc.cli import exits
from kubesvc.cli.exits import Refusal

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


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
        code = exits.PRIVILEGE if "ermission denied" in str(err) else exits.FAILED
        return Refusal(str(err), "kubesvc doctor says what this machine lacks", code=code)
    if isinstance(err, NoFreeNetwork | KubeconfigError):
        return Refusal(str(err))
    return _explain_client(err) or _explain_system(err)


def _explain_client(err: Exception) -> Refusal | None:
    from kubesvc.api.status import ApiError, Timeout
    from kubesvc.client.errors import ClientError

    if isinstance(err, ApiError):
        code = exits.TIMED_OUT if isinstance(err, Timeout) else exits.FAILED
        return Refusal(f"from server ({err.reason}): {err.message}", code=code)
    if isinstance(err, ClientError):
        return Refusal(str(err), "kubesvc list shows the clusters of this machine, kubesvc up starts one")
    return None


def _explain_system(err: Exception) -> Refusal | None:
    if not isinstance(err, OSError):
        return None
    what = f"{err.filename}: {err.strerror}" if err.filename else str(err)
    if err.errno in (errno.EPERM, errno.EACCES):
        hint = "run it with sudo" if os.geteuid() != 0 else "kubesvc doctor says what this machine lacks"
        return Refusal(what, hint, code=exits.PRIVILEGE)
    if err.errno in _NO_SPACE:
        return Refusal(what, "free some space, or point KUBESVC_HOME at another disk")
    return Refusal(what, "kubesvc doctor says what this machine lacks")
