"""Elements into the kernel: the nftables backend.

The static table goes through libnftables, elements through a netlink socket; both live as long as
the proxy. A batch that the kernel refuses changes nothing; the table is then read back and repaired,
and a port whose elements are refused again is left out so that the others get theirs.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing

from kubesvc.linux.netlink_wire import Denied, Missing, NetlinkError
from kubesvc.linux.nfnetlink import BatchError
from kubesvc.linux.nft import Nft, NftError
from kubesvc.linux.nft_elements import ElementSocket, TableInfo
from kubesvc.proxy.backend import BackendError, SyncReport
from kubesvc.proxy.model import Family, PortPlan, ServicePortName
from kubesvc.proxy.nftables.affinity import AffinityChains
from kubesvc.proxy.nftables.chunks import OwnedChanges, chunks
from kubesvc.proxy.nftables.compile import sticky_chains_in, too_many
from kubesvc.proxy.nftables.compiler import Compiler, Full
from kubesvc.proxy.nftables.elements import Changes, ElementKey, Value
from kubesvc.proxy.nftables.layout import COMMENT, MARK, mark_of, replace_text, table_text, trial_text
from kubesvc.proxy.nftables.schema import from_kernel, set_types, to_kernel
from kubesvc.proxy.nftables.syntax import TABLE, nft_family
from kubesvc.proxy.nftables.watch import TableWatch
from kubesvc.proxy.rules import RuleSettings

_PORTS_AT_ONCE = 150
_REPAIRS = 3
_DENIED = "nftables: permission denied (root, or CAP_NET_ADMIN in this network namespace, is needed)"
# Counters in maps came with these (the kernel's with 5.13); the rest of the layout is older.
_NEEDED = "libnftables 1.0.1 and Linux 5.13 are the least; older machines can have --proxy-mode iptables"

KernelElements = dict[ElementKey, Value]


class NftablesBackend:
    """One family's table."""

    def __init__(self, settings: RuleSettings) -> None:
        self.compiler = Compiler()
        self._settings = settings
        self._types = set_types(settings.family)
        with ExitStack() as opened:
            self._nft = opened.enter_context(closing(_open_nft()))
            self._socket = opened.enter_context(closing(_open_socket(settings.family)))
            _try_table(self._nft, settings)
            opened.pop_all()
        self._watch = TableWatch(self._socket, nft_family(settings.family))
        self._affinity = AffinityChains(settings.family, self._nft, self._socket, self._watch)
        self._adopted = False

    async def preload(self, plans: Mapping[ServicePortName, PortPlan]) -> None:
        try:
            present = self._socket.table() is not None
        except Denied as err:
            raise BackendError(_DENIED) from err
        if not present:
            await self._load(plans, SyncReport())

    async def sync(self, changes: Mapping[ServicePortName, PortPlan | None]) -> SyncReport:
        report = SyncReport()
        owned = [(name, self._compile(name, changes[name], report)) for name in changes]
        try:
            self._affinity.make(owned)
            await self._write(owned, report)
            self._affinity.prune(self.compiler.ledger.items())
        except (BatchError, NftError):
            await self._repair(report)
        return report

    async def full_sync(self, plans: Mapping[ServicePortName, PortPlan]) -> SyncReport:
        report = SyncReport()
        if self._socket.table() is not None:
            self._watch.listen()
        found, info = self._read()
        for name in [name for name in self.compiler.ledger.owners() if name not in plans]:
            self.compiler.set_port(name, None)
        if not found and info is None:
            self._watch.stop()
            await self._load(plans, report)
            self._watch.listen()
            return report
        if not self._adopted:
            self.compiler.adopt(found)
        for names in _parts(list(plans), _PORTS_AT_ONCE):
            for name in names:
                self._compile(name, plans[name], report)
            await asyncio.sleep(0)
        self.compiler.forget()
        self._adopted = True
        await self._repair(report, (found, info))
        return report

    def configure(self, settings: RuleSettings) -> bool:
        changed = settings != self._settings
        self._settings = settings
        return changed

    def intact(self) -> bool:
        return self._watch.intact()

    def close(self) -> None:
        self._watch.stop()
        self._socket.close()
        self._nft.close()

    async def _load(self, plans: Mapping[ServicePortName, PortPlan], report: SyncReport) -> None:
        """Fill a table that is not there yet, compiling and writing by turns: the first ports are served soon."""
        self.compiler = Compiler()
        self._adopted = True
        try:
            self._make_table({}, None, report)
            for names in _parts(list(plans), _PORTS_AT_ONCE):
                owned = [(name, self._compile(name, plans[name], report)) for name in names]
                self._affinity.make(owned)
                await self._write(owned, report)
        except (BatchError, NftError):
            for name, plan in plans.items():
                self._compile(name, plan, report)
            await self._repair(report)

    def _compile(self, name: ServicePortName, plan: PortPlan | None, report: SyncReport) -> Changes:
        if plan is not None and (reason := too_many(plan)):
            report.shortened[name] = reason
        try:
            return self.compiler.set_port(name, plan)
        except Full as err:
            report.refused[name] = str(err)
            return Changes()

    def _read(self) -> tuple[KernelElements, TableInfo | None]:
        """What the kernel holds now; nothing if there is no table or one that this version cannot read.

        Raises BackendError where it cannot be read just now: a table that serves is not made anew for that.
        """
        try:
            info = self._socket.table()
            if info is None or not info.comment.startswith(COMMENT):
                return {}, info
            found: KernelElements = {}
            for set_ in self._types.values():
                found.update(from_kernel(set_, self._socket.list_elements(set_)))
            return found, info
        except (Missing, KeyError, ValueError, IndexError):
            return {}, TableInfo(0, "")
        except Denied as err:
            raise BackendError(_DENIED) from err
        except OSError as err:
            raise BackendError(f"nftables: {err}") from err

    async def _repair(self, report: SyncReport, seen: tuple[KernelElements, TableInfo | None] | None = None) -> None:
        """Bring the kernel to what the ledger says, leaving out ports whose elements it refuses."""
        for attempt in range(_REPAIRS + 1):
            found, info = seen or self._read()
            seen = None
            try:
                found = self._make_table(found, info, report)
                owned = self._difference(found)
                self._affinity.make(owned)
                await self._write(owned, report)
                return
            except NftError as err:
                raise BackendError(str(err)) from err
            except BatchError as err:
                if attempt == _REPAIRS or not self._leave_out(err, report):
                    raise BackendError(f"nftables: {err.strerror} while writing elements") from err

    def _make_table(self, found: KernelElements, info: TableInfo | None, report: SyncReport) -> KernelElements:
        """Make sure of the static table; return the elements that are in it afterwards."""
        kept = sticky_chains_in(found)
        marks = [name for name in self._socket.chains() if name.startswith(MARK)] if info is not None else []
        if marks == [mark_of(self._settings)] and not self._watch.distrusted:
            self._affinity.found(kept)
        else:
            needed = kept | {str(value) for key, value in self.compiler.ledger.items() if key[0] == "sticky"}
            readable = info is not None and info.comment.startswith(COMMENT)
            if not (readable and self._swap_rules(needed, marks)):
                found = {}
                self._socket.delete_table()
                self._watch.run(self._nft, table_text(self._settings, needed))
            self._affinity.remade(needed)
            self._watch.distrusted = False
            report.writes += 1
        self._watch.remember()
        return found

    def _swap_rules(self, sticky: set[str], marks: list[str]) -> bool:
        try:
            self._watch.run(self._nft, replace_text(self._settings, sticky, marks))
        except NftError:
            return False  # maps of another shape: the table has to be made anew
        return True

    def _difference(self, found: KernelElements) -> list[OwnedChanges]:
        """Per owner what is missing or different in the kernel, critical owners first; then what is too much."""
        ledger = self.compiler.ledger
        surplus = dict(found)
        owned: dict[ServicePortName | None, Changes] = {}
        for owner, key, value in ledger.in_force():
            if key in found and surplus.pop(key, value) == value:
                continue
            changes = owned.setdefault(owner, Changes())
            if key in found:
                changes.deletes.append((key, found[key]))
            changes.adds.append((key, value))
        result = list(owned.items())
        if surplus:
            result.append((None, Changes(deletes=sorted(surplus.items(), key=_addresses_first))))
        return result

    async def _write(self, owned: Sequence[OwnedChanges], report: SyncReport) -> None:
        for chunk in chunks(owned):
            deletes = [(owner, item) for owner, changes in chunk for item in changes.deletes]
            adds = [(owner, item) for owner, changes in chunk for item in changes.adds]
            try:
                self._socket.commit(
                    to_kernel(self._types, (item for _, item in deletes)),
                    to_kernel(self._types, (item for _, item in adds)),
                )
            except BatchError as err:
                err.owners = [(deletes + adds)[index][0] if index >= 0 else None for index, _ in err.failed]
                raise
            report.writes += len(deletes) + len(adds)
            self._watch.wrote()
            await asyncio.sleep(0)

    def _leave_out(self, err: BatchError, report: SyncReport) -> bool:
        """Take the ports of refused elements out; False if no port can be named."""
        named = False
        for owner, (_, code) in zip(err.owners, err.failed, strict=True):
            if isinstance(owner, ServicePortName):
                report.refused[owner] = f"the kernel refused its elements: {os.strerror(code)}"
                self.compiler.set_port(owner, None)
                named = True
        return named


def _parts(names: list[ServicePortName], size: int) -> Iterable[list[ServicePortName]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def _addresses_first(item: tuple[ElementKey, Value]) -> tuple[bool, str]:
    return item[0][0] not in ("services", "node-ports"), str(item[0][0])


def _open_nft() -> Nft:
    try:
        return Nft()
    except NftError as err:
        raise BackendError(str(err)) from err


def _try_table(nft: Nft, settings: RuleSettings) -> None:
    """Whether this machine can hold our rules at all, found out with a table that is not made."""
    try:
        nft.check(trial_text(settings, f"{TABLE}-trial"))
    except NftError as err:
        reason = str(err).partition("\n")[0]
        raise BackendError(
            f"{reason}: too old for the proxy's rules, with Linux {os.uname().release}; {_NEEDED}"
        ) from err


def _open_socket(family: Family) -> ElementSocket:
    """The netlink channel, tried once so that a missing privilege is said at the start."""
    socket = ElementSocket(nft_family(family), TABLE)
    try:
        socket.table()
    except Denied as err:
        socket.close()
        raise BackendError(_DENIED) from err
    except NetlinkError as err:
        socket.close()
        raise BackendError(f"nftables is not usable in this kernel: {err}; {_NEEDED}") from err
    return socket


def remove_tables() -> list[str]:
    """Delete the proxy's tables of both families; return the families where there was one. Raises BackendError."""
    removed = []
    for family in Family:
        socket = _open_socket(family)
        try:
            if socket.delete_table():
                removed.append(family.value)
        finally:
            socket.close()
    return removed
