"""Endpoints in sparse, stable slots.

A list with n endpoints has a power-of-two number of slots of which at least half are used. A
random slot is tried several times before slot 0, which is therefore always used. So that a change
of one endpoint is a change of one element, an endpoint keeps its slot until the size changes.
"""

from collections.abc import Collection, Iterable, Sequence

from kubesvc.proxy.model import Target

Slots = tuple[Target | None, ...]


def assign(previous: Slots, wanted: Collection[Target], limit: int) -> Slots:
    """Slots for `wanted`, moving as few endpoints as the rules above allow; () for none.

    More endpoints than `limit` (a power of two) are cut off in their order.
    """
    targets = list(wanted)[:limit]
    if not targets:
        return ()
    size = _size(len(previous), len(targets))
    keep = set(targets)
    slots = [target if target in keep else None for target in previous[:size]]
    slots += [None] * (size - len(slots))
    placed = {target for target in slots if target is not None}
    _fill(slots, (target for target in targets if target not in placed))
    if slots[0] is None:
        last = max(index for index, target in enumerate(slots) if target is not None)
        slots[0], slots[last] = slots[last], None
    return tuple(slots)


def number(previous: Sequence[Target | None], wanted: Collection[Target], limit: int) -> Slots:
    """Numbers that never move while an endpoint stays: index + 1 is its number."""
    targets = list(wanted)[:limit]
    keep = set(targets)
    numbers = [target if target in keep else None for target in previous]
    placed = {target for target in numbers if target is not None}
    missing = [target for target in targets if target not in placed]
    numbers += [None] * (len(missing) - numbers.count(None))
    _fill(numbers, missing)
    while numbers and numbers[-1] is None:
        numbers.pop()
    return tuple(numbers)


def _size(current: int, count: int) -> int:
    """Grow when full, shrink when less than half is used."""
    if current and count <= current <= 2 * count:
        return current
    return 1 << (count - 1).bit_length()


def _fill(slots: list[Target | None], targets: Iterable[Target]) -> None:
    holes = (index for index, target in enumerate(slots) if target is None)
    for index, target in zip([*holes], targets, strict=False):
        slots[index] = target
