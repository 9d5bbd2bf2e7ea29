"""The proxy's loop: watch, wait until both caches are complete, put in force, and keep so.

Events only mark Services dirty and wake the loop. The loop syncs at once when it is idle; what
arrives during a sync is taken together by the next one, so that the work per event shrinks as load
grows and no fixed delay is ever added. The families do not wait for each other: while the kernel refuses
one, the other's changes go on.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from kubesvc.aio.clock import Clock
from kubesvc.aio.shares import Shares
from kubesvc.api import views
from kubesvc.api.resources import Key
from kubesvc.api.times import parse_time
from kubesvc.client import Informer
from kubesvc.client.events import BURST, REFILL_SECONDS
from kubesvc.observe import log
from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.family import FamilyProxy
from kubesvc.proxy.health import Health, node_eligible
from kubesvc.proxy.metrics import ProxyMetrics
from kubesvc.proxy.model import Complaint, HealthCheck, ServicePortName
from kubesvc.proxy.retries import Retries

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
CHECK_SECONDS = 0.5
FULL_SYNC_SECONDS = 3600.0
HEALTH_RETRY_SECONDS = 30.0
TRIGGERS_AT_MOST = 10_000
"""How many changes are timed at once: while syncs fail for long, the newest."""

_log = log("proxy")


class Proxier:
    """Feeds the families from the informers and syncs them."""

    def __init__(
        self,
        families: Iterable[FamilyProxy],
        services: Informer[views.Service],
        slices: Informer[views.EndpointSlice],
        nodes: Informer[views.Node],
        *,
        clock: Clock,
        health: Health,
        metrics: ProxyMetrics,
        min_sync_period: float = 0.0,
        complain: Callable[[Complaint], None] | None = None,
        on_node: Callable[[views.Node | None], None] | None = None,
    ) -> None:
        self.families = tuple(families)
        self.first_sync = asyncio.Event()
        self._services, self._slices, self._nodes = services, slices, nodes
        self._clock, self._health, self._metrics = clock, health, metrics
        self._min_sync_period = min_sync_period
        self._began = clock.now().timestamp()
        self._complain = complain or (lambda _: None)
        self._on_node = on_node or (lambda _: None)
        self._complaints: dict[tuple[str, Key], set[Complaint]] = {}
        self._log_shares = Shares[tuple[str, str, str]](BURST, REFILL_SECONDS)
        self._triggers: deque[tuple[str, float]] = deque(maxlen=TRIGGERS_AT_MOST)
        self._waiting = {"services": 0, "endpoints": 0}
        self._syncing = False
        self._retries = Retries(clock)
        self._wake = asyncio.Event()
        self._synced_again = asyncio.Event()
        services.subscribe(self._service_changed)
        slices.subscribe(self._slice_changed)
        nodes.subscribe(self._node_changed)
        for family in self.families:
            family.on_flows = partial(metrics.flows_forgotten, family.tracker.family.value)
            family.on_contested = partial(self._contested, f"{family.tracker.family} addresses of Service")

    @property
    def health_checks(self) -> list[HealthCheck]:
        """The health-check ports that should be served."""
        return [check for family in self.families for check in family.health.values()]

    async def health_changed(self) -> None:
        """Return after the next sync (or one since the last call), or when a retry is due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEALTH_RETRY_SECONDS):
                await self._synced_again.wait()
        self._synced_again.clear()

    async def run(self) -> None:
        """Keep the rules in line until cancelled."""
        for informer in (self._services, self._slices, self._nodes):
            await informer.synced.wait()
        self._health.node_eligible = node_eligible(next(iter(self._nodes.objects.values()), None))
        while True:
            self._wake.clear()
            if await self._sync_all():
                self._note_synced()
            if self._min_sync_period:
                await self._clock.sleep(self._min_sync_period)
            # Not wait_for: before Python 3.12 it can lose a cancellation that meets the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._retries.seconds()):
                    await self._wake.wait()

    async def watch_rules(self) -> None:
        """Notice within a second when somebody else flushes or replaces our rules, and look for stale flows again.

        What cannot be noticed so soon comes to light when everything is compared, every hour. Never returns.
        """
        last_full = self._clock.monotonic()
        while True:
            await self._clock.sleep(CHECK_SECONDS)
            if self._clock.monotonic() - last_full > FULL_SYNC_SECONDS:
                last_full = self._clock.monotonic()
                self.demand_full_sync()
            for family in self.families:
                if family.needs_full or self._syncing:  # before its first sync, a family needs a full one
                    continue
                if not family.check():
                    _log.warning("rules were changed by somebody else, repairing", family=family.tracker.family)
                    self._metrics.repairs.inc(family.tracker.family)
                    self._wake.set()
                else:
                    family.forget_flows()

    def wake(self) -> None:
        """Something that rules depend on has changed."""
        self._mark_dirty()

    def demand_full_sync(self) -> None:
        """Compare everything with the kernel at the next opportunity."""
        for family in self.families:
            family.needs_full = True
        self._wake.set()

    async def _sync_all(self) -> bool:
        """Sync each family whose time it is; whether everything known is in force."""
        self._syncing = True
        taken, self._waiting = self._waiting, dict.fromkeys(self._waiting, 0)
        try:
            done = [await self._sync_one(family) for family in self.families]
        finally:
            self._syncing = False
        if not all(done):
            self._waiting = {kind: number + taken[kind] for kind, number in self._waiting.items()}
        return all(done)

    async def _sync_one(self, proxy: FamilyProxy) -> bool:
        label = proxy.tracker.family.value
        if self._retries.waits(label):
            return False
        if proxy.pending and not await self._sync(proxy):
            self._retries.failed(label)
            return False
        self._retries.succeeded(label)
        self._note_family(proxy)
        return True

    async def _sync(self, proxy: FamilyProxy) -> bool:
        label, full, began = proxy.tracker.family.value, proxy.needs_full, self._clock.monotonic()
        refused = set(proxy.refused)
        try:
            report = await proxy.sync()
        except BackendError as err:
            _log.error("sync failed, trying again", family=label, reason=err)
            self._metrics.sync_failures.inc(label)
            self._health.queued(label, began)
            return False
        seconds = self._clock.monotonic() - began
        self._health.updated(label, self._clock.now())
        self._metrics.synced(label, seconds, report, full=full)
        self._metrics.refused.set(len(proxy.refused), label)
        for name in report.refused.keys() - refused:
            self._complain_refused(name, report.refused[name])
        for name, reason in report.shortened.items():
            self._complain(Complaint("Service", name.namespace, name.service, "TooManyEndpoints", f"{name}: {reason}"))
        if full:
            _log.info("in force", family=label, ports=len(proxy.plans), writes=report.writes, seconds=round(seconds, 4))
        return True

    def _note_family(self, proxy: FamilyProxy) -> None:
        label, now = proxy.tracker.family.value, self._clock.now().timestamp()
        self._metrics.last_sync.set(now, label)
        for direction, names in proxy.without_local.items():
            self._metrics.no_local_endpoints.set(len(names), label, direction)
        for trigger in [at for family, at in self._triggers if family == label]:
            self._metrics.network_programming.observe(max(now - trigger, 0.0), label)
        others = (each for each in self._triggers if each[0] != label)
        self._triggers = deque(others, maxlen=TRIGGERS_AT_MOST)
        self._synced_again.set()

    def _note_synced(self) -> None:
        self._health.synced = True
        for informer in (self._services, self._slices):
            version = informer.resource_version
            if version.isdigit():
                self._metrics.synced_version.set(int(version), informer.resource.plural)
        self.first_sync.set()

    def _service_changed(self, key: Key, _: views.Service | None, new: views.Service | None) -> None:
        complaints: set[Complaint] = set()
        for family in self.families:
            complaints.update(family.tracker.set_service(key, new))
        self._metrics.service_changes.inc()
        self._waiting["services"] += 1
        self._report("Service", key, complaints)
        self._mark_dirty()

    def _slice_changed(self, key: Key, _: views.EndpointSlice | None, new: views.EndpointSlice | None) -> None:
        complaints: set[Complaint] = set()
        for family in self.families:
            complaints.update(family.tracker.set_slice(key, new))
        self._metrics.endpoint_changes.inc()
        self._waiting["endpoints"] += 1
        self._report("EndpointSlice", key, complaints)
        if new and self.first_sync.is_set():
            self._note_trigger(new)
        self._mark_dirty()

    def _note_trigger(self, slice_: views.EndpointSlice) -> None:
        """Remember when a change began, unless that was before the proxy did: then it is not the proxy's time."""
        stamp = (slice_.metadata.annotations or {}).get(TRIGGER_TIME)
        if not stamp or slice_.address_type not in {family.tracker.family.value for family in self.families}:
            return
        # Anybody may write the annotation: what is no time is measured by nobody.
        with contextlib.suppress(ValueError):
            trigger = parse_time(stamp).timestamp()
            if trigger > self._began:
                self._triggers.append((slice_.address_type, trigger))

    def _node_changed(self, _key: Key, _old: views.Node | None, new: views.Node | None) -> None:
        for family in self.families:
            family.tracker.set_node(new)
        self._health.node_eligible = node_eligible(new)
        self._on_node(new)
        self._mark_dirty()

    def note_pending(self) -> None:
        """Bring the gauges of waiting changes up to date, for somebody who is about to look."""
        self._metrics.changed(**self._waiting)

    def _mark_dirty(self) -> None:
        for family in self.families:
            if family.pending:
                self._health.queued(family.tracker.family, self._clock.monotonic())
                self._metrics.last_queued.set(self._clock.now().timestamp(), family.tracker.family)
                self._wake.set()

    def _report(self, kind: str, key: Key, complaints: set[Complaint]) -> None:
        """Say each complaint once for as long as it lasts."""
        known = self._complaints.get((kind, key), set())
        if not complaints and not known:
            return
        for complaint in complaints - known:
            if self._may_log(complaint):
                _log.warning("left out", kind=kind, object=key, reason=complaint.reason, message=complaint.message)
            self._complain(complaint)
        if complaints:
            self._complaints[kind, key] = complaints
        else:
            self._complaints.pop((kind, key), None)

    def _contested(self, kind: str, key: Key, complaints: tuple[Complaint, ...]) -> None:
        self._report(kind, key, set(complaints))

    def _complain_refused(self, name: ServicePortName, reason: str) -> None:
        complaint = Complaint("Service", name.namespace, name.service, "FailedToSyncRules", f"{name}: {reason}")
        if self._may_log(complaint):
            _log.error("service port refused by the kernel", port=name, reason=reason)
        self._complain(complaint)

    def _may_log(self, complaint: Complaint) -> bool:
        """An object that flaps is logged as rarely as it has Events."""
        return self._log_shares.take((complaint.kind, complaint.namespace, complaint.name), self._clock.monotonic())
