"""Has somebody else changed our chains? Asked twice a second, so it has to cost next to nothing.

Where iptables keeps its rules in nftables, the kernel tells every change and signs it with its
sender's netlink port. While a restore of ours runs, one sender is we; any other time, none is.
iptables-legacy tells nothing, but the size of a table is had at once; what a restore of ours makes
of it is known beforehand. A rule that was replaced by another of the same size shows only when
everything is compared.
"""

import re
from collections.abc import Mapping
from typing import Protocol

from kubesvc.linux.iptables_info import TableSize, TableSizes
from kubesvc.linux.nft_elements import FAMILIES, SUBSYSTEM
from kubesvc.linux.nft_monitor import NftMonitor
from kubesvc.proxy.iptables.restore import OWNED_PREFIXES, TABLES
from kubesvc.proxy.iptables.static import SHARED
from kubesvc.proxy.model import Family

_NEWCHAIN, _DELTABLE, _DELCHAIN, _NEWRULE, _DELRULE = 3, 2, 5, 6, 8
_TABLE = tuple(name.encode() + b"\0" for name in TABLES)
_OURS = re.compile(
    "|".join([*(f"{name}\0" for name in sorted({chain for _, chain in SHARED})), *OWNED_PREFIXES]).encode()
)
_ATTRIBUTE_HEAD = 4


class Watch(Protocol):
    """What is remembered of our chains since they were last compared or written."""

    def trust(self) -> None:
        """They are about to be read; what was changed before does not matter any more."""
        ...

    def writing(self) -> None:
        """A restore of ours is about to run."""
        ...

    def wrote(self, growth: Mapping[str, int] | None) -> None:
        """It did; `growth` says by how many entries its tables grew, None that it was refused."""
        ...

    def intact(self) -> bool:
        """Whether nobody else has changed our chains since."""
        ...

    def close(self) -> None: ...


class NotificationWatch:
    """Listens to nftables."""

    def __init__(self, family: Family) -> None:
        self._monitor = NftMonitor()
        self._family = FAMILIES["ip6" if family is Family.IPV6 else "ip"]
        self._intact = True

    def trust(self) -> None:
        self._senders()
        self._intact = True

    def writing(self) -> None:
        self.intact()

    def wrote(self, growth: Mapping[str, int] | None) -> None:
        senders = self._senders()
        self._intact = self._intact and len(senders) <= 1 and -1 not in senders

    def intact(self) -> bool:
        self._intact = self._intact and not self._senders()
        return self._intact

    def close(self) -> None:
        self._monitor.close()

    def _senders(self) -> set[int]:
        """Who has changed our chains since the last call; -1 stands for what was lost."""
        return {port for port, kind, body in self._monitor.waiting() if kind < 0 or self._concerns_us(kind, body)}

    def _concerns_us(self, kind: int, body: bytes) -> bool:
        """A table's end, a change of our chains, or of rules of others that lead to ours."""
        command = kind & 0xFF
        if kind >> 8 != SUBSYSTEM or body[0] != self._family:
            return False
        rest = body[4 + _ATTRIBUTE_HEAD :]
        if not rest.startswith(_TABLE):
            return False
        if command == _DELTABLE:
            return True
        return command in (_NEWCHAIN, _DELCHAIN, _NEWRULE, _DELRULE) and _OURS.search(rest) is not None


class SizeWatch:
    """Asks for the sizes of tables."""

    def __init__(self, family: Family) -> None:
        self._sizes = TableSizes(ipv6=family is Family.IPV6)
        self._seen: dict[str, TableSize] = {}
        self._intact = True

    def trust(self) -> None:
        self._seen = self._read()
        self._intact = True

    def writing(self) -> None:
        self._intact = self.intact()

    def wrote(self, growth: Mapping[str, int] | None) -> None:
        before, self._seen = self._seen, self._read()
        if growth is not None:
            grown = {table: self._seen[table].entries - before[table].entries for table in before}
            self._intact = self._intact and all(grown[table] == growth.get(table, 0) for table in grown)

    def intact(self) -> bool:
        return self._intact and self._read() == self._seen

    def close(self) -> None:
        self._sizes.close()

    def _read(self) -> dict[str, TableSize]:
        return {table: self._sizes.read(table) for table in TABLES}
