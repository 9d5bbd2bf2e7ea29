"""One family's proxy: its tracker, its plans, its backend, and the step that brings them into line."""

from collections.abc import Callable, Collection, Mapping

from kubesvc.api.resources import Key
from kubesvc.observe import log
from kubesvc.proxy.backend import CRITICAL, Backend, BackendError, SyncReport
from kubesvc.proxy.conntrack import all_flows, frontends, stale_flows
from kubesvc.proxy.model import Complaint, HealthCheck, PortPlan, ServicePortName
from kubesvc.proxy.sweep import Flows, FlowSweep
from kubesvc.proxy.tracker import Tracker

_log = log("proxy")


class FamilyProxy:
    """Turns the tracker's dirty keys into syncs; a failed sync is followed by a full one."""

    def __init__(
        self,
        tracker: Tracker,
        backend: Backend,
        flows: Flows | None = None,
        local_addresses: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`local_addresses` are those on which this node's node ports may answer."""
        self.tracker = tracker
        self._local_addresses = local_addresses
        self.backend = backend
        self.plans: dict[ServicePortName, PortPlan] = {}
        self.health: dict[Key, HealthCheck] = {}
        self.refused: dict[ServicePortName, str] = {}
        self.without_local: dict[str, set[ServicePortName]] = {"internal": set(), "external": set()}
        """Ports of a Local policy, by direction, that have endpoints but none on this node."""
        self.on_flows: Callable[[int, float], None] = lambda _number, _seconds: None
        """Called with the number of flows deleted and the seconds it took, whenever flows were looked through."""
        self.on_contested: Callable[[Key, tuple[Complaint, ...]], None] = lambda _key, _complaints: None
        """Called for every Service that is planned, with what it claims in vain."""
        self.needs_full = True
        self._early = True
        self._flows = FlowSweep(flows) if flows is not None else None
        self._ports: dict[Key, tuple[ServicePortName, ...]] = {}

    @property
    def pending(self) -> bool:
        """Whether `sync` has anything to do."""
        return self.needs_full or bool(self.tracker.dirty)

    async def sync(self) -> SyncReport:
        """Put everything known in force; raises BackendError, after which the next sync is a full one."""
        full = self.needs_full
        try:
            if full and not self.plans:
                await self._preload()
            changes = self._collect()
            self.needs_full = True
            report = await (self.backend.full_sync(self.plans) if full else self.backend.sync(changes))
        except OSError as err:
            raise BackendError(f"the kernel: {err}") from err
        if full:
            self.refused = report.refused
        else:
            for name in changes:
                self.refused.pop(name, None)
            self.refused.update(report.refused)
        self.needs_full = False
        self._forget_early_flows()
        self.forget_flows(full=full, again=False)
        return report

    def check(self) -> bool:
        """Ask for a full sync if somebody else changed our rules; False if so."""
        try:
            intact = self.backend.intact()
        except (BackendError, OSError):
            intact = False
        self.needs_full = self.needs_full or not intact
        return intact

    async def _preload(self) -> None:
        """The first load of a large cluster takes seconds: what everything else needs goes first."""
        urgent: dict[ServicePortName, PortPlan] = {}
        for key in CRITICAL:
            urgent.update(self.tracker.plan(key).ports)
        if urgent:
            await self.backend.preload(urgent)

    def _collect(self) -> dict[ServicePortName, PortPlan | None]:
        """Plan the dirty Services again; the ports whose plans changed, None for those that are gone."""
        changes: dict[ServicePortName, PortPlan | None] = {}
        for key in self.tracker.take_dirty():
            plan = self.tracker.plan(key)
            self.on_contested(key, self.tracker.contested(key))
            for name in self._ports.get(key, ()):
                if name not in plan.ports:
                    changes[name] = None
            changes.update((name, port) for name, port in plan.ports.items() if self.plans.get(name) != port)
            self._ports[key] = tuple(plan.ports)
            if not plan.ports:
                del self._ports[key]
            if plan.health is not None:
                self.health[key] = plan.health
            else:
                self.health.pop(key, None)
        self._take(changes)
        return changes

    def _take(self, changes: Mapping[ServicePortName, PortPlan | None]) -> None:
        for name, plan in changes.items():
            old = self.plans.pop(name, None) if plan is None else self.plans.get(name)
            if plan is not None:
                self.plans[name] = plan
            for direction, names in self.without_local.items():
                names.discard(name)
                if plan is not None and _lacks_local(plan, direction):
                    names.add(name)
            if self._flows is not None:
                self._note_stale(self._flows, old, plan)

    @staticmethod
    def _note_stale(flows: FlowSweep, old: PortPlan | None, plan: PortPlan | None) -> None:
        stale = stale_flows(old, plan)
        if stale is not None:
            flows.add(stale)
        elif plan is not None:
            flows.renew(plan)

    def _forget_early_flows(self) -> None:
        """Once, after the first sync: clients may have been waiting for it."""
        if self._flows is None or not self._early:
            return
        ports = (plan for name, plan in self.plans.items() if name.protocol == "TCP")
        try:
            deleted = self._flows.forget_early({frontend for plan in ports for frontend in frontends(plan)})
        except OSError as err:
            _log.debug("early connections not looked for, trying again", family=self.tracker.family, reason=err)
            return
        self._early = False
        if deleted:
            _log.info("connections that began before the rules may try again", number=deleted)

    def forget_flows(self, *, full: bool = False, again: bool = True) -> None:
        """Delete stale UDP flows. The rules come first: a packet in between would make the flow anew.

        With `full`, those of every port, whatever the past was; with `again`, also those that an earlier
        look may have missed. Does little while nothing is stale.
        """
        if self._flows is None:
            return
        if full:
            for plan in self.plans.values():
                stale = all_flows(plan)
                if stale is not None:
                    self._flows.add(stale)
        try:
            swept = self._flows.look(self._local_addresses, again=again)
        except OSError as err:
            _log.debug("flows not looked through, trying again", family=self.tracker.family, reason=err)
            return
        if swept is not None:
            self.on_flows(swept.deleted, swept.seconds)


def _lacks_local(plan: PortPlan, direction: str) -> bool:
    service = plan.service
    policy = service.internal_local if direction == "internal" else service.external_local and service.external
    return policy and plan.any_usable and not plan.local
