"""The keeper of a cluster: starts another supervisor when the supervisor is killed, as that one does for the roles.

It is the supervisor's child, forked when all imports are done, so it costs hardly any memory and its own
forks begin at once. It holds the cluster's claims and hands them on. It acts under the home lock, and only
while the cluster exists and nobody supervises it: neither a `down` nor a repairing `up` is overtaken.
"""

import os
import select
import time
from collections.abc import Callable

from kubesvc.cluster.ledger import StateDirectory, StateError, locked_home, remove_empty_home
from kubesvc.cluster.processes import find_members, kill_and_wait, name_of
from kubesvc.cluster.records import KEEPER, supervisor_alive
from kubesvc.cluster.restarts import RestartPolicy
from kubesvc.observe import log

_log = log("keeper")


def keep(state: StateDirectory, supervisor: int, succeed: Callable[[], int]) -> None:
    """Wait for the end of the supervisor that the pidfd names, start another one, and so on.

    `succeed` forks it and returns its pidfd. Returns when the cluster is gone or has another supervisor,
    which then has a keeper of its own.
    """
    policy = RestartPolicy()
    since = time.monotonic()
    while True:
        select.select([supervisor], [], [])
        _reap()
        lived = time.monotonic() - since
        _log.warning("supervisor died", lived_s=lived)
        time.sleep(policy.delay(lived=lived))
        try:
            successor = _start_another(state, succeed)
        except (StateError, OSError) as err:
            _log.error("cannot start a supervisor", error=err)
            continue
        if successor is None:
            return
        os.close(supervisor)
        supervisor, since = successor, time.monotonic()


def end_keepers(state: StateDirectory) -> None:
    """End what may wait to start a supervisor, because the caller, who holds the home lock, does that itself."""
    kill_and_wait(member for member in find_members(state.root, ()) if name_of(member.pid) == f"ksv-{KEEPER}")


def _start_another(state: StateDirectory, succeed: Callable[[], int]) -> int | None:
    if not state.ledger_file.exists():
        return None
    with locked_home():
        if not state.ledger_file.exists():
            remove_empty_home()  # which taking the lock may have made
            return None
        if supervisor_alive(state):
            return None
        return succeed()


def _reap() -> None:
    """Wait for a supervisor that was our child; the first one was our parent."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
