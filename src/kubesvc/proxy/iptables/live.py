"""The live chains, read by iptables-save."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kubesvc.linux.iptables import Iptables, IptablesError, IptablesMissing
from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.iptables import names
from kubesvc.proxy.iptables.counts import count_connections
from kubesvc.proxy.iptables.listing import Listing
from kubesvc.proxy.iptables.restore import TABLES
from kubesvc.proxy.iptables.trace import IptablesEngine
from kubesvc.proxy.live import Counts
from kubesvc.proxy.model import Family, PortPlan, ServicePortName
from kubesvc.proxy.trace import Memory

_RECENT = Path("/proc/thread-self/net/xt_recent")
_INVALID = re.compile(rf"\[(\d+):\d+\] -A {names.FORWARD} .*--ctstate INVALID .*-j DROP")
_SOURCE = re.compile(r"src=(\S+)")


class LiveChains:
    """One family's chains as they were when they were read."""

    backend = "iptables"

    def __init__(self, lines: Mapping[str, Sequence[str]]) -> None:
        self.listing = Listing(lines)
        self._nat = lines["nat"]

    def engine(self, local: Iterable[str]) -> IptablesEngine:
        return IptablesEngine(self.listing.text, local)

    def memory(self, source: str) -> Memory:
        try:
            lists = [entry for entry in _RECENT.iterdir() if entry.name.startswith("KUBE-SEP-")]
            return frozenset((each.name, source) for each in lists if source in _SOURCE.findall(each.read_text()))
        except OSError:
            return frozenset()

    def differences(self, plans: Mapping[ServicePortName, PortPlan]) -> list[str]:
        return self.listing.differences(plans)

    def counts(self, plans: Mapping[ServicePortName, PortPlan]) -> Counts:
        return count_connections(self._nat, plans)


def read_chains(family: Family) -> LiveChains | None:
    """The chains of this network namespace, of whichever variant has them; None if there are none.

    Raises BackendError where they may not be read.
    """
    for variant in ("", "legacy", "nft"):
        try:
            iptables = Iptables(ipv6=family is Family.IPV6, variant=variant)
            lines = {table: iptables.save_now(table, counters=True) for table in TABLES}
        except IptablesMissing:
            continue
        except IptablesError as err:
            raise BackendError(str(err)) from err
        if any(line.startswith(f":{names.SERVICES} ") for line in lines["nat"]):
            return LiveChains(lines)
    return None


def read_counts(family: Family, plans: Mapping[ServicePortName, PortPlan], *, endpoints: bool) -> Counts:
    """The counters of these ports; without `endpoints` only by service port. Raises BackendError."""
    try:
        iptables = Iptables(ipv6=family is Family.IPV6)
        return count_connections(iptables.counted_lines("nat"), plans, endpoints=endpoints)
    except IptablesError as err:
        raise BackendError(str(err)) from err


def read_invalid_drops(family: Family) -> int:
    """How many packets the forwarding chain has dropped because conntrack could not make sense of them.

    Raises BackendError.
    """
    try:
        lines = Iptables(ipv6=family is Family.IPV6).counted_lines("filter")
        return sum(int(found[1]) for line in lines if (found := _INVALID.match(line)))
    except IptablesError as err:
        raise BackendError(str(err)) from err
