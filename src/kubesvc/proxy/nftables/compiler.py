"""The compiler's memory: numbers of service ports, places of endpoints, owners of elements.

Numbers and places are remembered so that a change stays small. A proxy that starts over an
existing table learns both from the kernel's elements first (`adopt`), and then finds nothing to
change where nothing changed.
"""

from collections import deque

from kubesvc.proxy.model import PROTOCOL_NUMBERS, PortPlan, ServicePortName, Target
from kubesvc.proxy.nftables import words
from kubesvc.proxy.nftables.compile import NO_LISTS, Lists, compile_port, place
from kubesvc.proxy.nftables.elements import Changes, ElementKey, Elements, Value
from kubesvc.proxy.nftables.ledger import Ledger
from kubesvc.proxy.nftables.slots import Slots


class Full(Exception):
    """No number is left for another service port."""


RESTING = 1024
"""How many numbers rest at least, where there are enough of them."""


class Numbers:
    """Numbers of service ports; one that was given back rests until RESTING others have been after it.

    A packet between two look-ups, and a client's affinity, may still hold a number that is gone. The
    packet is through long before the number's turn; the client gets one of the new owner's endpoints.
    """

    def __init__(self) -> None:
        self._next = 1
        self._taken: set[int] = set()
        self._free: deque[int] = deque()

    def take(self, wanted: int | None = None) -> int:
        """A free number, `wanted` if it is free; raises Full."""
        if wanted is not None and wanted not in self._taken and 0 < wanted <= words.MAX_ID:
            self._taken.add(wanted)
            return wanted
        while self._next in self._taken:
            self._next += 1
        number = self._rested()
        if number is None:
            if self._next > words.MAX_ID:
                raise Full(f"more than {words.MAX_ID} service ports")
            number, self._next = self._next, self._next + 1
        self._taken.add(number)
        return number

    def give_back(self, number: int) -> None:
        self._taken.discard(number)
        self._free.append(number)

    def _rested(self) -> int | None:
        """The number that has rested longest, if it has rested enough or there are no new ones."""
        while len(self._free) > (RESTING if self._next <= words.MAX_ID else 0):
            number = self._free.popleft()
            if number not in self._taken:  # an earlier run's elements may have asked for it meanwhile
                return number
        return None


class Compiler:
    """Plans in, changes of elements out; for one family's table."""

    def __init__(self) -> None:
        self.ledger: Ledger[ServicePortName] = Ledger()
        self.numbers = Numbers()
        self._places: dict[ServicePortName, tuple[int, Lists]] = {}
        self._known: Adopted | None = None

    def adopt(self, elements: Elements) -> None:
        """Prefer the numbers and places that these elements of an earlier run show, until `forget`."""
        self._known = Adopted(elements)

    def forget(self) -> None:
        """Every port of the earlier run has been compiled again: its memory is not needed any more."""
        self._known = None

    def set_port(self, name: ServicePortName, plan: PortPlan | None) -> Changes:
        """Take in a port's newest plan, None when it is gone; raises Full."""
        if plan is None:
            placed = self._places.pop(name, None)
            if placed is not None:
                self.numbers.give_back(placed[0])
            return self.ledger.replace(name, {})
        number, lists = self._places.get(name) or self._first_place(plan)
        lists = place(plan, lists)
        self._places[name] = (number, lists)
        return self.ledger.replace(name, compile_port(plan, number, lists))

    def number_of(self, name: ServicePortName) -> int | None:
        """The number of a port that is compiled."""
        placed = self._places.get(name)
        return placed[0] if placed else None

    def _first_place(self, plan: PortPlan) -> tuple[int, Lists]:
        known = self._known.number_of(plan) if self._known else None
        number = self.numbers.take(known)
        return number, self._known.lists(plan) if self._known and number == known else NO_LISTS


class Adopted:
    """Numbers and places as a table's elements show them."""

    def __init__(self, elements: Elements) -> None:
        self._words: dict[ElementKey, Value] = {}
        self._slots: dict[ElementKey, dict[int, Target]] = {}
        for key, value in elements.items():
            name = str(key[0])
            if name == "services":
                self._words[key] = value
            elif isinstance(value, Target) and name.startswith("endpoints-"):
                self._slots.setdefault(key[:2], {})[int(key[2])] = value
            elif isinstance(value, Target):
                word = int(key[1])
                list_key = (name, word & ~words.NUMBER_MASK)
                self._slots.setdefault(list_key, {})[word & words.NUMBER_MASK] = value
            elif name == "choices" and isinstance(value, int):
                self._slots.setdefault((name, key[1]), {})[int(key[2])] = Target("", value & words.NUMBER_MASK)

    def number_of(self, plan: PortPlan) -> int | None:
        """The number that the port's cluster address leads to."""
        word = self._word(plan)
        return words.number_of(word) if word is not None else None

    def lists(self, plan: PortPlan) -> Lists:
        """The places of the endpoints of a port that has a number."""
        word = self._word(plan)
        assert word is not None
        number, protocol = words.number_of(word), plan.name.protocol.lower()
        cluster, local = (words.list_id(number, local=local) for local in (False, True))
        sizes = (word & words.CLUSTER_MASK, (word & words.LOCAL_MASK) >> words.LOCAL_SHIFT)
        if not plan.service.affinity_seconds:
            name = f"endpoints-{protocol}"
            places = (self._slots.get((name, cluster), {}), self._slots.get((name, local), {}))
            return Lists(_slots(places[0], sizes[0]), _slots(places[1], sizes[1]))
        name = f"bound-{protocol}"
        bound = {**self._slots.get((name, cluster), {}), **self._slots.get((name, local), {})}
        numbers = tuple(bound.get(index + 1) for index in range(max(bound, default=0)))
        return Lists(
            _slots(self._chosen(cluster, bound), sizes[0]), _slots(self._chosen(local, bound), sizes[1]), numbers
        )

    def _word(self, plan: PortPlan) -> int | None:
        service = plan.service
        word = self._words.get(("services", service.cluster_ip, PROTOCOL_NUMBERS[plan.name.protocol], service.port))
        return word if isinstance(word, int) else None

    def _chosen(self, list_id: int, bound: dict[int, Target]) -> dict[int, Target]:
        choices = self._slots.get(("choices", list_id), {})
        return {slot: bound[choice.port] for slot, choice in choices.items() if choice.port in bound}


def _slots(places: dict[int, Target], size_class: int) -> Slots:
    if size_class not in words.CLASSES:
        return ()
    return tuple(places.get(index) for index in range(1 << (size_class - 1)))
