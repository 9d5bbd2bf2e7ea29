"""Rules by iptables-restore: the iptables backend.

Changes are partial restores that touch only the chains of the changed ports. When one fails, all
chains are read and compared, and what differs is restored; where a transaction of that is refused,
its ports are written one at a time so that the bad one is found and left out.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kubesvc.api.resources import Key
from kubesvc.linux.iptables import Iptables, IptablesError, IptablesMissing
from kubesvc.proxy.backend import CRITICAL, BackendError, SyncReport
from kubesvc.proxy.iptables import names
from kubesvc.proxy.iptables.compile import NO_RULES, Chain, PortRules, compile_port
from kubesvc.proxy.iptables.repair import PortRepair, Repair
from kubesvc.proxy.iptables.restore import (
    TABLES,
    Owned,
    Restore,
    batches,
    cleanup_restores,
    partial_restore,
    together,
)
from kubesvc.proxy.iptables.saved import Saved
from kubesvc.proxy.iptables.static import fixed_rules
from kubesvc.proxy.iptables.watch import NotificationWatch, SizeWatch, Watch
from kubesvc.proxy.model import Family, PortPlan, ServicePortName
from kubesvc.proxy.rules import RuleSettings

_BE_LIBERAL = Path("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal")
_MANY_ENDPOINTS = 1000
"""With more endpoints than this, their chains have no comments; the same number as kube-proxy's."""
_NOTHING_TO_DO = "*nat\nCOMMIT\n"
_PORTS_AT_ONCE = 50
"""So many ports are compared before anything else gets its turn."""


class IptablesBackend:
    """One family's chains."""

    def __init__(self, settings: RuleSettings, iptables: Iptables) -> None:
        self._settings = settings
        self._iptables = iptables
        self._plans: dict[ServicePortName, PortPlan] = {}
        self._counts: Counter[str] = Counter()
        self._terse = False
        self._watch = _open_watch(settings.family, iptables)
        self._size = _batch_size(iptables)

    async def preload(self, plans: Mapping[ServicePortName, PortPlan]) -> None:
        if not self._iptables.has_chain("nat", names.SERVICES):
            await self.full_sync(plans)

    async def sync(self, changes: Mapping[ServicePortName, PortPlan | None]) -> SyncReport:
        report = SyncReport(rules_last=dict.fromkeys(TABLES, 0))
        parts = [(name, self._replace(name, plan)) for name, plan in changes.items()]
        try:
            for batch in batches(parts, self._size):
                await self._write(together(batch), report)
        except IptablesError:
            report = await self.full_sync(dict(self._plans))
            report.partial_failed = True
        report.rules_total = dict(self._counts)
        return report

    async def full_sync(self, plans: Mapping[ServicePortName, PortPlan]) -> SyncReport:
        report = SyncReport(rules_last=dict.fromkeys(TABLES, 0))
        self._plans = dict(plans)
        self._terse = sum(len(plan.targets) for plan in plans.values()) > _MANY_ENDPOINTS
        fixed = fixed_rules(self._settings, tcp_be_liberal=_tcp_be_liberal())
        self._counts = _count_fixed(fixed)
        try:
            repair = Repair(await self._read(), fixed)
            await self._write(repair.base(), report)
            await self._write_ports(repair, report)
            for batch in batches(repair.surplus(), self._size):
                await self._write(together(batch), report)
        except IptablesError as err:
            raise BackendError(str(err)) from err
        for name in report.refused:
            self._counts.subtract(self._compile(self._plans.pop(name)).count())
        report.rules_total = dict(self._counts)
        return report

    def configure(self, settings: RuleSettings) -> bool:
        changed = settings != self._settings
        self._settings = settings
        return changed

    def intact(self) -> bool:
        try:
            return self._watch.intact()
        except OSError as err:
            raise BackendError(f"rules cannot be watched: {err.strerror}") from err

    def close(self) -> None:
        self._watch.close()
        self._iptables.close()

    def _compile(self, plan: PortPlan) -> PortRules:
        return compile_port(plan, self._settings, terse=self._terse)

    def _replace(self, name: ServicePortName, plan: PortPlan | None) -> Restore:
        """Take another plan of a port; what has to be written for that."""
        before = self._plans.pop(name, None)
        if plan is not None:
            self._plans[name] = plan
        old, new = (self._compile(each) if each else NO_RULES for each in (before, plan))
        self._counts.subtract(old.count())
        self._counts.update(new.count())
        return partial_restore(old, new)

    async def _read(self) -> Saved:
        self._watch.trust()
        saved = Saved()
        for table in TABLES:
            async for lines in self._iptables.save(table):
                saved.take(table, lines)
        return saved

    async def _write_ports(self, repair: Repair, report: SyncReport) -> None:
        """What differs: of the critical ports all, then of the others the chains, then what leads to them.

        Chains to which nothing leads yet are written at once, whatever else there is.
        """
        urgent = {name for name in self._plans if Key(name.namespace, name.service) in CRITICAL}
        for name in urgent:
            await self._write_owned([(name, part) for part in self._differing(repair, name)], report)
        chains: list[Owned] = []
        entries: list[Owned] = []
        lines = 0
        for number, name in enumerate(self._plans):
            if name in urgent:
                continue
            differing = self._differing(repair, name)
            if lines + len(differing.chains) > self._size:
                await self._write_owned(chains, report)
                chains, lines = [], 0
            elif number % _PORTS_AT_ONCE == 0:
                await asyncio.sleep(0)
            chains.append((name, differing.chains))
            entries.append((name, differing.entries))
            lines += len(differing.chains)
        await self._write_owned(chains, report)
        await self._write_owned(entries, report)

    def _differing(self, repair: Repair, name: ServicePortName) -> PortRepair:
        rules = self._compile(self._plans[name])
        self._counts.update(rules.count())
        return repair.port(rules)

    async def _write_owned(self, parts: Iterable[Owned], report: SyncReport) -> None:
        """Write in batches; where one is refused, part by part. Ports that were refused are left out."""
        for batch in batches([part for part in parts if part[0] not in report.refused], self._size):
            try:
                await self._write(together(batch), report)
            except IptablesError:
                await self._restore(Restore(), _NOTHING_TO_DO)  # or else it is not the rules
                for name, part in batch:
                    try:
                        await self._write(part, report)
                    except IptablesError as err:
                        assert name is not None
                        report.refused[name] = str(err)

    async def _write(self, restore: Restore, report: SyncReport) -> None:
        if len(restore):
            await self._restore(restore, restore.text())
            report.writes += len(restore)
            for table, number in restore.rules().items():
                report.rules_last[table] += number

    async def _restore(self, restore: Restore, text: str) -> None:
        growth: Mapping[str, int] | None = None
        self._watch.writing()
        try:
            await self._iptables.restore(text)
            growth = restore.growth
        finally:
            self._watch.wrote(growth)


def _count_fixed(fixed: Mapping[Chain, tuple[str, ...]]) -> Counter[str]:
    counts: Counter[str] = Counter(dict.fromkeys(TABLES, 0))
    for (table, _), lines in fixed.items():
        counts[table] += len(lines)
    return counts


def open_iptables(settings: RuleSettings, variant: str = "") -> IptablesBackend:
    """The backend of one family; raises BackendError where iptables cannot be used."""
    try:
        iptables = Iptables(ipv6=settings.family is Family.IPV6, variant=variant)
        iptables.check()
        return IptablesBackend(settings, iptables)
    except IptablesError as err:
        raise BackendError(str(err)) from err


def remove_chains() -> list[str]:
    """Remove everything this mode ever makes, in every variant and family; what was removed."""
    removed = []
    for variant in ("nft", "legacy", ""):
        for ipv6 in (False, True):
            try:
                iptables = Iptables(ipv6=ipv6, variant=variant)
                texts = list(_cleanup_texts(iptables))
                for text in texts:
                    iptables.restore_now(text)
                if texts:
                    removed.append(f"{iptables.name} chains")
            except IptablesMissing:
                continue
            except IptablesError as err:
                raise BackendError(str(err)) from err
    return removed


def _cleanup_texts(iptables: Iptables) -> Iterator[str]:
    existing = {table: iptables.save_now(table) for table in TABLES}
    for batch in batches(cleanup_restores(existing), _batch_size(iptables)):
        yield together(batch).text()


def _open_watch(family: Family, iptables: Iptables) -> Watch:
    return NotificationWatch(family) if iptables.uses_nftables else SizeWatch(family)


def _batch_size(iptables: Iptables) -> int:
    """How many lines to restore at once.

    In nftables, iptables-restore's own time grows with the square of their number, and each
    transaction looks at every chain there is. A legacy table is read and replaced whole each time.
    """
    return 2000 if iptables.uses_nftables else 60_000


def _tcp_be_liberal() -> bool:
    try:
        return int(_BE_LIBERAL.read_text()) != 0
    except (OSError, ValueError):
        return False
