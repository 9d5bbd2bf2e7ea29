"""Has somebody else touched our table? Its notifications tell, and what it looked like after our last write."""

from kubesvc.linux.nft import Nft
from kubesvc.linux.nft_elements import ElementSocket
from kubesvc.linux.nft_monitor import TableMonitor
from kubesvc.proxy.nftables.syntax import TABLE


class TableWatch:
    """One table; `socket` is the one through which our elements are written."""

    def __init__(self, socket: ElementSocket, family: str) -> None:
        self.distrusted = False
        """Somebody else has changed the table: its rules may not be what its mark says."""
        self._socket = socket
        self._family = family
        self._monitor: TableMonitor | None = None
        self._handle = 0
        self._rules = 0
        self._generation = 0

    def listen(self) -> None:
        """From now on be told of changes. Not during a first load: each element would be told to us too."""
        if self._monitor is None:
            self._monitor = TableMonitor(self._family, TABLE)

    def stop(self) -> None:
        """Changes from here on are found by reading the table."""
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None

    def run(self, nft: Nft, commands: str) -> None:
        """Run commands of our own; they come from another socket, whose changes are not somebody else's."""
        self.hear()
        nft.run(commands)
        if self._monitor is not None:
            self._monitor.touched(())

    def hear(self) -> None:
        """Take in what was told since."""
        if self._monitor is not None and self._monitor.touched({self._socket.port_id}):
            self.distrusted = True

    def wrote(self) -> None:
        """One transaction of our elements was just committed."""
        # Counted, not read: a transaction of somebody else in between must show.
        self._generation += 1
        self.hear()

    def remember(self) -> None:
        """Our rules were just written or verified."""
        self._generation = self._socket.generation()
        info = self._socket.table()
        self._handle = info.handle if info else 0
        self._rules = self._socket.count_rules()

    def intact(self) -> bool:
        """Whether nobody else has touched the table since."""
        self.hear()
        generation = self._socket.generation()
        if not self.distrusted and generation != self._generation:
            info = self._socket.table()
            self.distrusted = info is None or info.handle != self._handle or self._socket.count_rules() != self._rules
            self._generation = generation
        return not self.distrusted
