"""Why a role does not start: what it logs at its end, and what `up` quotes of that."""

import json
import re
from pathlib import Path

from kubesvc.cluster.ledger import ClusterError, StateDirectory
from kubesvc.cluster.records import recorded
from kubesvc.observe import log

# A role that has died so often, each time soon after its start, will not get better by itself.
_HOPELESS = 3
_TAIL = 64 * 1024
_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)')


def log_end(role: str, err: BaseException) -> None:
    """Log one line about the exception that ends a role; a defect's traceback follows it."""
    cause = err
    while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
        cause = cause.exceptions[0]
    if isinstance(cause, _refusals()):
        log(role).error("cannot start", error=cause, hint=getattr(cause, "hint", ""))
    else:
        log(role).error("ended by a defect", exc=err, error=f"{type(cause).__name__}: {cause}")


def check_roles(state: StateDirectory) -> None:
    """Raise ClusterError when a role is down that dies again and again, with what it said last."""
    for name, record in recorded(state).items():
        if record.pid == 0 and record.failures >= _HOPELESS:
            error, hint = last_error(state.log(name))
            raise ClusterError(
                f"{name} of cluster {state.name!r} has died {record.failures} times: {error}",
                hint or f"kubesvc logs {name} --name {state.name}",
            )


def last_error(file: Path) -> tuple[str, str]:
    """The error and the hint of a log's last line of level error; without one, its last line."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - _TAIL))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in reversed(lines):
        fields = {name: _plain(value) for name, value in _FIELD.findall(line)}
        if fields.get("level") == "error":
            return fields.get("error") or fields.get("msg", ""), fields.get("hint", "")
    return (lines[-1] if lines else "it logged nothing"), ""


def _plain(value: str) -> str:
    return str(json.loads(value)) if value.startswith('"') else value


def _refusals() -> tuple[type[BaseException], ...]:
    """What the parts raise for a person to act upon; imported only when something has been raised."""
    from kubesvc.apiserver.options import CannotStart
    from kubesvc.client.errors import ClientError
    from kubesvc.proxy.backend import BackendError
    from kubesvc.proxy.config import ConfigError

    return CannotStart, ClientError, BackendError, ConfigError, ClusterError
