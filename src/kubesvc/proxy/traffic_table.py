"""The table that counts bytes, in the kernel: made, looked after, read and removed."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from kubesvc.aio.clock import Clock
from kubesvc.linux.netlink_wire import Denied
from kubesvc.linux.nft import Nft, NftError
from kubesvc.linux.nft_codec import Field, unpack_fields
from kubesvc.linux.nft_counters import CounterSocket
from kubesvc.linux.nft_elements import SetType
from kubesvc.observe import log
from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.model import Family, PortPlan, ServicePortName, Target
from kubesvc.proxy.nftables.syntax import nft_family
from kubesvc.proxy.traffic import Direction, Ends, Traffic
from kubesvc.proxy.traffic_layout import SIZE, TABLE, layout

FLAG = "--traffic-bytes"
_log = log("proxy")


class TrafficTable:
    """One family's table."""

    def __init__(self, family: Family, *, endpoints: bool) -> None:
        self._family = family
        self._layout = layout(family, endpoints=endpoints)
        address: Field = "ipv4" if family is Family.IPV4 else "ipv6"
        self._fields: tuple[Field, ...] = (address, "proto", "port")
        if endpoints:
            self._fields += (address, "port")

    def there(self) -> bool:
        """Whether the kernel has the table, as this version and these options make it."""
        try:
            with CounterSocket(nft_family(self._family), TABLE) as socket:
                return self._is_in_order(socket)
        except OSError:
            return False  # no nf_tables in this kernel, or no right to look

    def ensure(self) -> None:
        """Make the table unless it is there as it should be: its counters outlive the proxy. Raises BackendError."""
        try:
            with CounterSocket(nft_family(self._family), TABLE) as socket:
                if self._is_in_order(socket):
                    return
                socket.delete_table()
            nft = Nft()
            try:
                nft.run(self._layout.text)
            finally:
                nft.close()
        except Denied as err:
            raise BackendError(f"{FLAG}: {err} (root or CAP_NET_ADMIN is needed)") from err
        except (OSError, NftError) as err:
            raise BackendError(
                f"{FLAG} counts in nftables, in every mode, which is not usable here: {err}; "
                f"install nftables in a kernel with nf_tables, or leave {FLAG} out"
            ) from err

    def read(self) -> dict[Direction, dict[bytes, int]]:
        """Bytes by key and direction. Raises BackendError."""
        found: dict[Direction, dict[bytes, int]] = {direction: {} for direction in Direction}
        try:
            with CounterSocket(nft_family(self._family), TABLE) as socket:
                for direction, numbers in found.items():
                    # Interrupted by a transaction on other tables: nobody but packets changes these elements.
                    with suppress(InterruptedError):
                        for key, number in socket.byte_counts(SetType(direction, self._fields)):
                            numbers[key] = number
        except OSError as err:
            raise BackendError(f"{FLAG}: {err}") from err
        return found

    def parse(self, key: bytes) -> Ends:
        """An element's key as `read` gives it."""
        items = unpack_fields(self._fields, key)
        endpoint = Target(str(items[3]), int(items[4])) if len(items) > 3 else None
        return Ends(str(items[0]), int(items[1]), int(items[2]), endpoint)

    def _is_in_order(self, socket: CounterSocket) -> bool:
        info = socket.table()
        return info is not None and info.comment == self._layout.comment and socket.count_rules() == self._layout.rules


class TrafficCounts:
    """One family's sums of bytes."""

    def __init__(self, table: TrafficTable, local: Callable[[], Iterable[str]], clock: Clock) -> None:
        """`local` gives the node's addresses."""
        self.traffic = Traffic()
        self._table, self._local, self._clock = table, local, clock
        self._full = False

    def look(self, plans: Mapping[ServicePortName, PortPlan]) -> None:
        """Take in the counters, and mend the table if somebody removed it. Raises BackendError."""
        if not plans and not self.traffic.services:
            return  # before the first sync: what was counted until now would be taken for nobody's
        self._table.ensure()
        found = self._table.read()
        self.traffic.update(found, self._table.parse, plans, local=self._local(), now=self._clock.monotonic())
        full = any(len(numbers) >= SIZE for numbers in found.values())
        if full and not self._full:
            _log.warning("traffic counters are full: bytes of further connections are not counted", elements=SIZE)
        self._full = full


def read_traffic(family: Family, plans: Mapping[ServicePortName, PortPlan], local: Iterable[str]) -> Traffic | None:
    """What these ports have carried since the table was made; None if nobody counts. Raises BackendError."""
    for endpoints in (True, False):
        table = TrafficTable(family, endpoints=endpoints)
        if table.there():
            traffic = Traffic()
            traffic.update(table.read(), table.parse, plans, local=local, now=0)
            return traffic
    return None


def remove_traffic_tables(table: str = TABLE) -> list[str]:
    """Delete the tables of this name of both families; return the families where there was one. Raises BackendError."""
    removed = []
    for family in Family:
        try:
            with CounterSocket(nft_family(family), table) as socket:
                if socket.delete_table():
                    removed.append(family.value)
        except Denied as err:
            raise BackendError(f"nftables: {err} (root or CAP_NET_ADMIN is needed)") from err
        except OSError:
            continue  # a kernel without nf_tables has no table of ours
    return removed
