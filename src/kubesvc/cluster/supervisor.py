"""The supervisor of one cluster: starts its roles, starts a dead one again, does nothing else.

One thread, no event loop: it sleeps in poll(2) on a pidfd per role and on its signals. A role need
not be its child, so a new supervisor adopts what an earlier one, killed, has left running.
SIGHUP makes it follow the ledger; SIGTERM ends the roles and itself; after SIGUSR1 it starts nothing any more and
only buries the dead, for `down`.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kubesvc.cluster import children
from kubesvc.cluster.children import Role
from kubesvc.cluster.ledger import StateDirectory
from kubesvc.cluster.processes import kill_and_wait, process
from kubesvc.cluster.records import SUPERVISOR, Record, running, write_records
from kubesvc.cluster.restarts import RestartPolicy
from kubesvc.observe import log

_MAX_LOG = 10 * 1024 * 1024
_LOG_CHECK_INTERVAL = 60.0
_GRACE = 3.0

_log = log("supervisor")


@dataclass(slots=True)
class _Running:
    record: Record
    pidfd: int
    since: float


@dataclass(slots=True)
class _Slot:
    """What the supervisor knows of one role."""

    role: Role
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    running: _Running | None = None
    due: float = 0.0

    @property
    def record(self) -> Record:
        return self.running.record if self.running is not None else Record(0, 0, failures=self.policy.failures)


class Supervisor:
    """Keeps the roles that `roles()` names running; `held` are descriptors no child may keep."""

    def __init__(self, state: StateDirectory, roles: Callable[[], Sequence[Role]], *, held: Sequence[int] = ()) -> None:
        self._state = state
        self._roles = roles
        self._held = list(held)
        self._slots: dict[str, _Slot] = {}
        self._poll = select.poll()
        self._draining = False
        self._next_log_check = time.monotonic() + _LOG_CHECK_INTERVAL
        self._signals, self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._signals, select.POLLIN)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1):
            signal.signal(signum, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)

    def adopt(self) -> None:
        """Take over the roles that the record on disk says are running, and that are."""
        for name, record in running(self._state).items():
            if name != SUPERVISOR:
                slot = self._slots.setdefault(name, _Slot(Role(name, "", _never)))
                self._watch(slot, record)
                _log.info("role adopted", role=name, pid=record.pid)

    def run(self) -> None:
        """Supervise until SIGTERM."""
        while True:
            if not self._draining:
                self._start_due()
            self._poll_once()
            asked = self._drain_signals()
            self._reap()
            if asked & {signal.SIGTERM, signal.SIGINT}:
                break
            self._draining = self._draining or signal.SIGUSR1 in asked
            if signal.SIGHUP in asked:
                self.follow()
            self._note_deaths()
            self._trim_logs()
        self._stop_all()

    def release(self, descriptor: int) -> None:
        """Forget a held descriptor that the caller is about to close."""
        self._held.remove(descriptor)

    def follow(self) -> None:
        """Run the roles of the ledger: start what is missing, stop what is no longer wanted or has changed."""
        wanted = {role.name: role for role in self._roles()}
        for name in [name for name in self._slots if name not in wanted]:
            self._stop([self._slots[name]])
            del self._slots[name]
        for name, role in wanted.items():
            slot = self._slots.setdefault(name, _Slot(role))
            slot.role = role
            if slot.running is not None and slot.running.record.fingerprint != role.fingerprint:
                _log.info("role changed", role=name)
                self._stop([slot])
                slot.due = 0.0
        self._start_due()
        self._record()

    def _start_due(self) -> None:
        now = time.monotonic()
        started = False
        for slot in self._slots.values():
            if slot.running is None and slot.due <= now:
                self._start(slot)
                started = True
        if started:
            self._record()

    def _start(self, slot: _Slot) -> None:
        role = slot.role
        inherited = [self._signals, self._wakeup, *self._held]
        inherited += [other.running.pidfd for other in self._slots.values() if other.running is not None]
        pid = children.start(role, log=self._state.log(role.name), directory=self._state.root, close=inherited)
        found = process(pid)
        if found is None:
            self._schedule(slot, lived=0.0)
            return
        self._watch(slot, Record(pid, found.started, role.fingerprint, role.keeps))
        _log.info("role started", role=role.name, pid=pid)

    def _watch(self, slot: _Slot, record: Record) -> None:
        pidfd = os.pidfd_open(record.pid)
        self._poll.register(pidfd, select.POLLIN)
        slot.running = _Running(record, pidfd, time.monotonic())

    def _poll_once(self) -> None:
        now = time.monotonic()
        waits = [slot.due - now for slot in self._slots.values() if slot.running is None and not self._draining]
        wait = min([*waits, self._next_log_check - now])
        self._poll.poll(max(0.0, wait) * 1000 + 1)

    def _drain_signals(self) -> set[int]:
        try:
            return set(os.read(self._signals, 256))
        except BlockingIOError:
            return set()

    def _note_deaths(self) -> None:
        died = False
        for slot in self._slots.values():
            if slot.running is not None and not slot.running.record.process.alive():
                lived = time.monotonic() - slot.running.since
                _log.warning("role died", role=slot.role.name, pid=slot.running.record.pid, lived_s=lived)
                self._forget(slot)
                self._schedule(slot, lived=lived)
                died = True
        if died:
            self._record()

    def _schedule(self, slot: _Slot, *, lived: float) -> None:
        slot.due = time.monotonic() + slot.policy.delay(lived=lived)

    def _forget(self, slot: _Slot) -> None:
        if slot.running is not None:
            self._poll.unregister(slot.running.pidfd)
            os.close(slot.running.pidfd)
            slot.running = None

    def _reap(self) -> None:
        # Orphans of the roles come to us too (child subreaper); nobody else would wait for them.
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return

    def _stop(self, slots: Sequence[_Slot]) -> None:
        """SIGTERM, a little time, SIGKILL; the slots are empty afterwards."""
        running = [slot.running for slot in slots if slot.running is not None]
        for one in running:
            if one.record.process.alive():
                signal.pidfd_send_signal(one.pidfd, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        for one in running:
            poll = select.poll()
            poll.register(one.pidfd, select.POLLIN)
            poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        kill_and_wait([one.record.process for one in running])
        for slot in slots:
            self._forget(slot)

    def _stop_all(self) -> None:
        _log.info("stopping")
        self._stop(list(self._slots.values()))

    def _record(self) -> None:
        records = {name: slot.record for name, slot in self._slots.items()}
        me = process(os.getpid())
        if me is not None:
            records[SUPERVISOR] = Record(me.pid, me.started)
        write_records(self._state, records)

    def _trim_logs(self) -> None:
        if time.monotonic() < self._next_log_check:
            return
        self._next_log_check = time.monotonic() + _LOG_CHECK_INTERVAL
        for path in self._state.log("x").parent.glob("*.log"):
            if path.stat().st_size > _MAX_LOG:
                # The role holds the file open for appending: copy, then cut, loses at most a line.
                path.with_suffix(".log.1").write_bytes(path.read_bytes())
                os.truncate(path, 0)


def _never() -> None:
    raise AssertionError("an adopted role is never started from here")
