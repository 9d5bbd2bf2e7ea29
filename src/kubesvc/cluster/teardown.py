"""`down`: take a cluster away, whatever state it is in, and leave the machine as it was before `up`.

Works from the name alone when everything else is lost. The order makes it repeatable: what is found
by looking (processes, mounts, namespaces) goes first, the ledger last.
"""

import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kubesvc.cluster.claims import claim, cluster_claim
from kubesvc.cluster.kubeconfig_files import KubeconfigError, uninstall
from kubesvc.cluster.ledger import (
    ClusterError,
    Ledger,
    StateDirectory,
    StateError,
    UserContext,
    clusters,
    home,
    inherited,
    locked_home,
    remove_empty_home,
)
from kubesvc.cluster.network import cluster_namespaces, forget_netns_directory, has_host_link, remove_network
from kubesvc.cluster.processes import Process, StillRunning, find_members, kill_and_wait
from kubesvc.cluster.records import SUPERVISOR, running
from kubesvc.cluster.topology import check_name, context_name
from kubesvc.linux import libc
from kubesvc.linux.mounts import DETACH, mount_points

_ROUNDS = 10


def destroy(name: str, *, kubeconfig: str = "") -> list[str] | None:
    """Remove the cluster `name`; None when there is nothing of it, else warnings about what was left alone.

    Its context leaves the kubeconfigs that `up` wrote to, and the one that is named here.
    """
    state = StateDirectory(check_name(name))
    with locked_home():
        if not state.root.exists():
            _refuse_foreign(state.name)
        if not _exists(state):
            remove_empty_home()  # which taking the lock may have made
            return None
        ledger = _readable_ledger(state)
        _end_processes(state)
        warnings = _restore_kubeconfigs(_contexts(state.name, ledger, kubeconfig))
        if ledger is not None:
            _hand_on_previous(ledger)
        _unmount_below(state.root)
        remove_network(name)
        _remove_tree(state.root)
        forget_netns_directory()
        remove_empty_home()
    return warnings


def _refuse_foreign(name: str) -> None:
    """A cluster that lives with its state elsewhere is not a left-over of ours to clear away."""
    held = claim(cluster_claim(name))
    if held is None:
        raise ClusterError(
            f"cluster {name!r} runs with its state elsewhere than in {home()}",
            "set KUBESVC_HOME as it was when that cluster was started, and run kubesvc down again",
        )
    held.close()


def _exists(state: StateDirectory) -> bool:
    return state.root.exists() or bool(cluster_namespaces(state.name)) or has_host_link(state.name)


def _readable_ledger(state: StateDirectory) -> Ledger | None:
    try:
        return state.read()
    except StateError:
        return None


def _end_processes(state: StateDirectory) -> None:
    """Kill until none is found: one that was being forked while we looked is found by the next look.

    The supervisor goes last. It starts nothing meanwhile, and as parent of orphans it waits for all the
    others, so that no zombie is left where init does not.
    """
    supervisor = _drain_supervisor(state)
    for _ in range(_ROUNDS):
        found = find_members(state.root, cluster_namespaces(state.name))
        if not found:
            return
        members = [member for member in found if member != supervisor] or found
        try:
            kill_and_wait(members)
        except StillRunning as err:
            raise ClusterError(f"cluster {state.name!r}: {err}", "run kubesvc down again") from err
    raise ClusterError(f"cluster {state.name!r} starts processes faster than they end", "run kubesvc down again")


def _drain_supervisor(state: StateDirectory) -> Process | None:
    record = running(state).get(SUPERVISOR)
    if record is None or record.process not in find_members(state.root, ()):
        return None
    os.kill(record.pid, signal.SIGUSR1)
    return record.process


def _contexts(name: str, ledger: Ledger | None, kubeconfig: str) -> list[UserContext]:
    contexts = list(ledger.user_contexts) if ledger is not None else []
    path = os.path.abspath(kubeconfig)
    if kubeconfig and path not in [context.path for context in contexts]:
        contexts.append(UserContext(path=path, context=context_name(name), previous="", created=False))
    return contexts


def _restore_kubeconfigs(contexts: Sequence[UserContext]) -> list[str]:
    warnings = []
    for context in reversed(contexts):
        try:
            uninstall(context)
        except KubeconfigError as err:
            warnings.append(str(err))
    return warnings


def _hand_on_previous(gone: Ledger) -> None:
    """A cluster that was to restore our context restores what we had found instead."""
    for left in gone.user_contexts:
        for other in clusters():
            if other.name == gone.name:
                continue
            contexts = tuple(inherited(context, left) for context in other.user_contexts)
            if contexts != other.user_contexts:
                StateDirectory(other.name).update(user_contexts=contexts)


def _unmount_below(root: Path) -> None:
    below = [mount.path for mount in mount_points() if f"{mount.path}/".startswith(f"{root}/")]
    for path in reversed(below):
        with suppress(OSError):
            libc.umount(path, DETACH)


def _remove_tree(root: Path) -> None:
    try:
        shutil.rmtree(root)
    except FileNotFoundError:
        return
    except OSError as err:
        raise StateError(f"cannot remove {err.filename or root}: {err.strerror}") from err
