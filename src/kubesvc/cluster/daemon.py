"""The process that becomes a cluster's supervisor: from the command's fork to its endless watch.

It does three things at once, because `up` is waited for: a child writes the identities, this process
makes the network and then imports what all roles share. A failure is told through the report pipe
to the command, which is the only one to speak to a person.
"""

import errno
import fcntl
import json
import os
import socket
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from kubesvc.cluster.addresses import NoFreeNetwork
from kubesvc.cluster.ledger import ClusterError, Ledger, StateDirectory

_LOCKED = b"+"
_PR_SET_CHILD_SUBREAPER = 36


def daemonise(state: StateDirectory, claims: Sequence[int]) -> int:
    """Fork twice, so that the supervisor belongs to no terminal and no parent; it holds the `claims` for life.

    Returns, once the supervisor holds its lock, the reading end of its report pipe: end of file
    there means that all roles were started, anything else is a JSON document with `error` and `hint`.
    """
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.close(reading)
        _be_supervisor(state, writing, claims)
    os.close(writing)
    os.waitpid(middle, 0)
    os.read(reading, len(_LOCKED))
    return reading


def _succeed(state: StateDirectory, claims: Sequence[int]) -> int:
    """Fork a new supervisor from the keeper; a pidfd of it, once it holds its lock or has ended."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(reading)
        _be_supervisor(state, writing, claims)
    os.close(writing)
    os.read(reading, len(_LOCKED))
    os.close(reading)
    return os.pidfd_open(pid)


def _be_supervisor(state: StateDirectory, report: int, claims: Sequence[int]) -> NoReturn:
    status = 1
    try:
        _supervise(state, report, claims)
        status = 0
    except BaseException as err:
        _tell_failure(report, err)
    finally:
        os._exit(status)


def _supervise(state: StateDirectory, report: int, claims: Sequence[int]) -> None:
    os.umask(0o022)
    os.chdir(state.root)
    lock = os.open(state.supervisor_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(report, _LOCKED)
    _close_others(keep=(lock, report, *claims))
    ledger = state.read()
    if ledger is None:
        raise ClusterError(f"cluster {state.name!r} has no ledger")
    _prepare(state, ledger)

    from kubesvc import observe
    from kubesvc.cluster.children import Role
    from kubesvc.cluster.keeper import keep
    from kubesvc.cluster.records import KEEPER
    from kubesvc.cluster.roles import compose
    from kubesvc.cluster.supervisor import Supervisor
    from kubesvc.linux import libc

    observe.configure("supervisor")
    libc.name_process("ksv-supervisor")
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    sockets = _take_api_sockets(state, ledger)
    myself = os.pidfd_open(os.getpid())
    held = [lock, report, myself, *claims, *(listener.fileno() for listener in sockets)]
    keeper = Role(KEEPER, "", lambda: keep(state, myself, lambda: _succeed(state, claims)), keeps=(myself, *claims))
    supervisor = Supervisor(state, lambda: (*compose(state, _reread(state), sockets), keeper), held=held)
    supervisor.adopt()
    supervisor.follow()
    supervisor.release(report)
    os.close(report)
    supervisor.run()


def _prepare(state: StateDirectory, ledger: Ledger) -> None:
    """Identities in a child, network and imports here; both are there on return."""
    from kubesvc.cluster.children import freeze, redirect_output, run_in_child
    from kubesvc.cluster.identities import prepare_identities
    from kubesvc.cluster.network import ensure_network

    redirect_output(state.log("supervisor"))
    child = run_in_child(lambda: prepare_identities(state, ledger))
    ensure_network(ledger.topology)
    _import_shared()
    freeze()
    _, status = os.waitpid(child, 0)
    if status:
        raise ClusterError("could not write the cluster's keys and certificates", f"see {state.log('supervisor')}")


def _import_shared() -> None:
    """What every role needs anyway; imported once, shared by all forks."""
    # Before anything else imports aiohttp.
    import kubesvc.aio.web

    # isort: split
    import ssl  # noqa: F401

    import aiohttp.web  # noqa: F401
    import msgspec  # noqa: F401
    import yaml  # noqa: F401

    import kubesvc.api.quantity
    import kubesvc.api.selectors
    import kubesvc.api.views
    import kubesvc.client.http
    import kubesvc.client.informer  # noqa: F401


def _take_api_sockets(state: StateDirectory, ledger: Ledger) -> tuple[socket.socket, ...]:
    """The API's listening sockets: those of an API server that outlived its supervisor, else new ones."""
    from kubesvc.cluster.records import running
    from kubesvc.cluster.roles import API_SERVER, open_api_sockets
    from kubesvc.linux import libc

    survivor = running(state).get(API_SERVER)
    if survivor is not None:
        pidfd = os.pidfd_open(survivor.pid)
        try:
            return tuple(socket.socket(fileno=libc.pidfd_getfd(pidfd, number)) for number in survivor.keeps)
        finally:
            os.close(pidfd)
    try:
        return open_api_sockets(ledger)
    except OSError as err:
        if err.errno != errno.EADDRINUSE:
            raise
        raise ClusterError(
            f"port {ledger.api_port} of 127.0.0.1, the API's, is taken by another program",
            "end that program and run kubesvc up again",
        ) from err


def _reread(state: StateDirectory) -> Ledger:
    ledger = state.read()
    if ledger is None:
        raise ClusterError(f"cluster {state.name!r} has no ledger any more")
    return ledger


def _close_others(keep: Sequence[int]) -> None:
    """Let go of whatever the command's caller had open: a pipe held by a daemon never ends for its reader."""
    kept = {0, 1, 2, *keep}
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) not in kept:
            with suppress(OSError):
                os.close(int(entry))


def _tell_failure(report: int, err: BaseException) -> None:
    from kubesvc.observe import log

    hint = err.hint if isinstance(err, ClusterError) else ""
    log("supervisor").error("cannot start", error=err, hint=hint)
    if not isinstance(err, ClusterError | NoFreeNetwork | OSError):
        traceback.print_exc(file=sys.stderr)
        hint = "this is a defect; its traceback is in the log: kubesvc logs supervisor"
    with suppress(OSError):
        os.write(report, json.dumps({"error": str(err) or type(err).__name__, "hint": hint}).encode())
