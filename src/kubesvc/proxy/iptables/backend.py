"""Rules by iptables-restore: the iptables backend.

Changes are partial restores that touch only the chains of the changed ports. When one fails,
everything is written again in one restore; when that fails too, ports are written one at a time so
that the bad one is found and left out.
"""

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from kubesvc.linux.iptables import Iptables, IptablesError, IptablesMissing
from kubesvc.linux.nfnetlink import NfnetlinkSocket
from kubesvc.linux.nft_elements import read_generation
from kubesvc.proxy.backend import BackendError, SyncReport
from kubesvc.proxy.iptables import names
from kubesvc.proxy.iptables.compile import NO_RULES, PortRules, compile_port
from kubesvc.proxy.iptables.restore import TABLES, Restore, cleanup_restore, full_restore, partial_restore
from kubesvc.proxy.iptables.shape import is_as_planned
from kubesvc.proxy.iptables.static import fixed_rules
from kubesvc.proxy.model import Family, PortPlan, ServicePortName
from kubesvc.proxy.rules import RuleSettings

_BE_LIBERAL = Path("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal")
_CHECK_SHARE = {False: 50, True: 5}
"""How many times longer than a check the pause after it is, without and with nftables' word that something changed."""


class IptablesBackend:
    """One family's chains."""

    def __init__(self, settings: RuleSettings, iptables: Iptables) -> None:
        self._settings = settings
        self._iptables = iptables
        self._rules: dict[ServicePortName, PortRules] = {}
        self._counts: Counter[str] = Counter()
        self._netlink = NfnetlinkSocket() if iptables.uses_nftables else None
        self._generation = 0
        self._next_check = 0.0

    async def preload(self, plans: Mapping[ServicePortName, PortPlan]) -> None:
        present = await self._iptables.save("nat")
        if not any(line.startswith(f":{names.SERVICES} ") for line in present):
            await self.full_sync(plans)

    async def sync(self, changes: Mapping[ServicePortName, PortPlan | None]) -> SyncReport:
        before = {_key(name): self._rules.get(name, NO_RULES) for name in changes}
        after: dict[str, PortRules] = {}
        for name, plan in changes.items():
            if plan is None:
                self._rules.pop(name, None)
            else:
                self._rules[name] = after[_key(name)] = compile_port(plan, self._settings)
        restore = partial_restore(before, after)
        try:
            await self._restore(restore.text())
        except IptablesError:
            report = await self._write_all()
            report.partial_failed = True
            return report
        for rules in before.values():
            self._counts.subtract(rules.count())
        for rules in after.values():
            self._counts.update(rules.count())
        return self._report(restore)

    async def full_sync(self, plans: Mapping[ServicePortName, PortPlan]) -> SyncReport:
        self._rules = {name: compile_port(plan, self._settings) for name, plan in plans.items()}
        return await self._write_all()

    def configure(self, settings: RuleSettings) -> bool:
        changed = settings != self._settings
        self._settings = settings
        return changed

    def intact(self) -> bool:
        """Where iptables keeps its rules in nftables, a look at its generation is all that is needed.

        Else the tables are saved and compared, the more rarely the longer that takes.
        """
        generation = read_generation(self._netlink) if self._netlink else 0
        if self._netlink and generation == self._generation:
            return True
        if time.monotonic() < self._next_check:
            return True
        began = time.monotonic()
        saved = {table: self._iptables.save_now(table) for table in TABLES}
        self._next_check = time.monotonic() + _CHECK_SHARE[self._netlink is not None] * (time.monotonic() - began)
        self._generation = generation
        fixed = fixed_rules(self._settings, tcp_be_liberal=_tcp_be_liberal())
        return is_as_planned(self._rules.values(), fixed, saved)

    def close(self) -> None:
        if self._netlink:
            self._netlink.close()

    async def _write_all(self) -> SyncReport:
        try:
            return self._report(await self._full())
        except IptablesError as err:
            first = err
        refused = await self._find_refused()
        if not refused:
            raise BackendError(str(first)) from first
        try:
            return self._report(await self._full(), refused)
        except IptablesError as err:
            raise BackendError(str(err)) from err

    def _report(self, restore: Restore, refused: dict[ServicePortName, str] | None = None) -> SyncReport:
        return SyncReport(len(restore), refused or {}, dict(self._counts), restore.rules())

    async def _full(self) -> Restore:
        existing = {table: await self._iptables.save(table) for table in TABLES}
        fixed = fixed_rules(self._settings, tcp_be_liberal=_tcp_be_liberal())
        restore = full_restore(self._rules.values(), fixed, existing)
        await self._restore(restore.text())
        self._counts = Counter(dict.fromkeys(TABLES, 0))
        for rules in self._rules.values():
            self._counts.update(rules.count())
        for (table, _), lines in fixed.items():
            self._counts[table] += len(lines)
        return restore

    async def _find_refused(self) -> dict[ServicePortName, str]:
        """Write the fixed part, then port by port; those that are refused are taken out."""
        wanted, self._rules = self._rules, {}
        refused: dict[ServicePortName, str] = {}
        await self._full()
        for name, rules in wanted.items():
            try:
                await self._restore(partial_restore({}, {"": rules}).text())
            except IptablesError as err:
                refused[name] = str(err)
            else:
                self._rules[name] = rules
        return refused

    async def _restore(self, text: str) -> None:
        if text:
            await self._iptables.restore(text)
            # Counted, not read: a transaction of somebody else in between must show.
            self._generation += text.count("COMMIT\n")


def _key(name: ServicePortName) -> str:
    """Unlike its text, with the protocol: that of an unnamed port may change."""
    return f"{name}/{name.protocol}"


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
                text = cleanup_restore({table: iptables.save_now(table) for table in TABLES}).text()
                if text:
                    iptables.restore_now(text)
                    removed.append(f"{iptables.name} chains")
            except IptablesMissing:
                continue
            except IptablesError as err:
                raise BackendError(str(err)) from err
    return removed


def _tcp_be_liberal() -> bool:
    try:
        return int(_BE_LIBERAL.read_text()) != 0
    except (OSError, ValueError):
        return False
