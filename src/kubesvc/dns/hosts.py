"""Fixed names from a hosts file, as in /etc/hosts: addresses forward, the first name backward."""

from collections.abc import Iterable
from ipaddress import ip_address

from kubesvc.dns import records, wire
from kubesvc.dns.records import Record
from kubesvc.dns.wire import Type


class Hosts:
    """The entries of one file; names and addresses are found in constant time."""

    def __init__(self, text: str = "", *, ttl: int = 3600, reverse: bool = True) -> None:
        self.ttl = ttl
        self._forward: dict[bytes, list[bytes]] = {}
        self._reverse: dict[bytes, bytes] = {}
        for address, names in parse_hosts(text):
            for name in names:
                self._forward.setdefault(name, []).append(address)
            if reverse and names:
                self._reverse.setdefault(reverse_name(address), names[0])

    def find(self, name: bytes, qtype: int) -> tuple[Record, ...] | None:
        """The records at `name`; () when it has none of this type, None when it is not in the file."""
        addresses = self._forward.get(name)
        if addresses is not None:
            found = (records.address(name, self.ttl, address, "hosts") for address in addresses)
            return tuple(record for record in found if record.type == qtype)
        target = self._reverse.get(name)
        if target is None:
            return None
        return (Record(name, Type.PTR, self.ttl, target, "hosts"),) if qtype == Type.PTR else ()


def parse_hosts(text: str) -> Iterable[tuple[bytes, list[bytes]]]:
    """Packed addresses and the names beside them; what is neither is passed over, as every reader does."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) < 2:
            continue
        try:
            address = ip_address(words[0].partition("%")[0]).packed
            yield address, [wire.name_from_text(word) for word in words[1:]]
        except ValueError:
            continue


def reverse_name(address: bytes) -> bytes:
    """The name that a PTR question about `address` asks for."""
    return wire.name_from_text(ip_address(address).reverse_pointer)
