"""The live table: its rules through libnftables, its elements with their counters through netlink."""

from collections.abc import Iterable, Mapping

from kubesvc.linux import netns
from kubesvc.linux.netlink_wire import Denied, NetlinkError
from kubesvc.linux.nft import Nft, NftError
from kubesvc.linux.nft_counters import Counted, CounterSocket
from kubesvc.linux.nft_elements import Field, SetType
from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.live import Counts
from kubesvc.proxy.model import PROTOCOL_NUMBERS, Family, PortPlan, ServicePortName, Target
from kubesvc.proxy.nftables import words
from kubesvc.proxy.nftables.agreement import chains_of, differing_rules, possible_settings
from kubesvc.proxy.nftables.compile import sticky_chains_in
from kubesvc.proxy.nftables.elements import ElementKey, Value
from kubesvc.proxy.nftables.jhash import client_key
from kubesvc.proxy.nftables.layout import table_text
from kubesvc.proxy.nftables.listing import differences, fill_ranges, parse_listing, parse_ranges
from kubesvc.proxy.nftables.schema import from_kernel, set_types
from kubesvc.proxy.nftables.syntax import CLIENT_SEEDS, TABLE, nft_family
from kubesvc.proxy.nftables.trace import NftEngine
from kubesvc.proxy.rules import RuleSettings
from kubesvc.proxy.trace import Memory

RANGES = ("pods", "service-cidrs", "node-port-addresses")
_RETRIES = 5


class LiveTable:
    """One family's table as it was when it was read."""

    backend = "nftables"

    def __init__(
        self,
        family: Family,
        text: str,
        elements: dict[ElementKey, Value],
        packets: dict[ElementKey, int],
        affinity: Memory,
    ) -> None:
        self.elements = elements
        self._family = family
        self._text, self._packets, self._affinity = text, packets, affinity

    def engine(self, local: Iterable[str]) -> NftEngine:
        return NftEngine(self._text, self.elements.items(), local)

    def memory(self, source: str) -> Memory:
        return frozenset(entry for entry in self._affinity if entry[:-2] == client_key(source))

    def differences(self, plans: Mapping[ServicePortName, PortPlan]) -> list[str]:
        return [*self._differing_rules(), *differences(self.elements, plans)]

    def counts(self, plans: Mapping[ServicePortName, PortPlan]) -> Counts:
        return count_elements(self.elements, self._packets, plans)

    def _differing_rules(self) -> list[str]:
        live = chains_of(self._text)
        sticky = sticky_chains_in(self.elements)
        wanted = (chains_of(listed(each, sticky)) for each in possible_settings(self._text, self._family))
        try:
            return min((differing_rules(live, chains) for chains in wanted), key=len)
        except PermissionError:
            return []  # a namespace to list them in takes CAP_SYS_ADMIN, reading the table only CAP_NET_ADMIN


def listed(settings: RuleSettings, sticky: Iterable[str] = ()) -> str:
    """How nft lists the table of these settings: made in an empty network namespace that ends at once."""
    with netns.scratch():
        nft = Nft(terse=True)
        try:
            nft.run(table_text(settings, sticky))
            return parse_listing(nft.run(f"list table {nft_family(settings.family)} {TABLE}"))
        finally:
            nft.close()


def count_elements(
    elements: Mapping[ElementKey, Value], packets: Mapping[ElementKey, int], plans: Mapping[ServicePortName, PortPlan]
) -> Counts:
    """The counters of elements, added up by service port and by endpoint."""
    counts = Counts({}, {})
    owners: dict[int, ServicePortName] = {}
    for name, plan in plans.items():
        protocol = PROTOCOL_NUMBERS[name.protocol]
        keys: list[ElementKey] = [
            ("services", address, protocol, plan.service.port) for address in plan.service.addresses
        ]
        keys.append(("node-ports", protocol, plan.service.node_port))
        counts.services[name] = sum(packets.get(key, 0) for key in keys)
        word = elements.get(keys[0])
        if isinstance(word, int):
            owners[words.number_of(word)] = name
    for key, value in elements.items():
        if isinstance(value, Target):
            owner = owners.get(words.number_of(int(key[1])))
            if owner is not None:
                counts.endpoints[owner, value] = counts.endpoints.get((owner, value), 0) + packets.get(key, 0)
    return counts


def read_table(family: Family) -> LiveTable | None:
    """The table of this network namespace, None if there is none.

    Raises BackendError where it may not be read, goes away meanwhile, or changes all the time.
    """
    try:
        with CounterSocket(nft_family(family), TABLE) as socket:
            if socket.table() is None:
                return None
            elements, packets = _read_elements(socket, family)
            affinity = _read_affinity(socket, family)
        return LiveTable(family, _read_text(nft_family(family)), elements, packets, affinity)
    except Denied as err:
        raise BackendError(f"nftables: {err} (root or CAP_NET_ADMIN is needed)") from err
    except (NetlinkError, NftError) as err:
        raise BackendError(f"nftables: {err}") from err
    except InterruptedError as err:
        raise BackendError(f"nftables: {err}, {_RETRIES + 1} times in a row; try again") from err


def read_counts(family: Family, plans: Mapping[ServicePortName, PortPlan], *, endpoints: bool) -> Counts:
    """The counters of these ports; without `endpoints` only by service port, which is much less to read.

    Raises BackendError.
    """
    names = [name for name in set_types(family) if name.startswith(("endpoints-", "bound-"))] if endpoints else []
    try:
        with CounterSocket(nft_family(family), TABLE) as socket:
            elements, packets = _read_elements(socket, family, ("services", "node-ports", *names))
    except (NetlinkError, InterruptedError) as err:
        raise BackendError(f"nftables: {err}") from err
    return count_elements(elements, packets, plans)


def _read_text(ip: str) -> str:
    rules, full = Nft(terse=True), Nft()
    try:
        text = parse_listing(rules.run(f"list table {ip} {TABLE}"))
        return fill_ranges(text, {name: parse_ranges(full.run(f"list set {ip} {TABLE} {name}")) for name in RANGES})
    finally:
        rules.close()
        full.close()


def _read_elements(
    socket: CounterSocket, family: Family, only: Iterable[str] = ()
) -> tuple[dict[ElementKey, Value], dict[ElementKey, int]]:
    """Every element and how many packets looked it up; read again when somebody's transaction came between."""
    elements: dict[ElementKey, Value] = {}
    packets: dict[ElementKey, int] = {}
    wanted = tuple(only)
    for name, set_ in set_types(family).items():
        if wanted and name not in wanted:
            continue
        counted = _listed(socket, set_)
        elements.update(from_kernel(set_, ((each.key, each.value) for each in counted)))
        packets.update(((name, *each.key), each.packets) for each in counted if each.packets)
    return elements, packets


def _listed(socket: CounterSocket, set_: SetType) -> list[Counted]:
    for _ in range(_RETRIES):
        try:
            return list(socket.counted(set_))
        except InterruptedError:
            continue
    return list(socket.counted(set_))


def _read_affinity(socket: CounterSocket, family: Family) -> Memory:
    """Who is bound to which endpoint."""
    client: list[Field] = ["ipv4"] if family is Family.IPV4 else ["word" for _ in CLIENT_SEEDS]
    bound = _listed(socket, SetType("affinity", (*client, "word"), ("word",)))
    return frozenset((*each.key, each.value[0]) for each in bound)
