"""Endpoints in slots: the promises of `slots.py` for every history."""

from hypothesis import given
from hypothesis import strategies as st

from kubesvc.proxy.model import Target
from kubesvc.proxy.nftables.slots import Slots, assign, number

TARGETS = st.lists(st.integers(1, 40).map(lambda n: Target(f"10.0.0.{n}", 80)), unique=True, max_size=40).map(sorted)
HISTORIES = st.lists(TARGETS, min_size=1, max_size=8)
LIMIT = 64


def placed(slots: Slots) -> list[Target]:
    return [target for target in slots if target is not None]


@given(HISTORIES)
def test_slots_hold_the_endpoints_in_half_of_a_power_of_two_with_the_first_used(history: list[list[Target]]) -> None:
    slots: Slots = ()
    for wanted in history:
        slots = assign(slots, wanted, LIMIT)

        assert sorted(placed(slots)) == wanted
        if wanted:
            assert len(slots) & (len(slots) - 1) == 0
            assert len(slots) <= 2 * len(wanted)
            assert slots[0] is not None


@given(HISTORIES, TARGETS)
def test_an_unchanged_list_does_not_move(history: list[list[Target]], last: list[Target]) -> None:
    slots: Slots = ()
    for wanted in [*history, last]:
        slots = assign(slots, wanted, LIMIT)

    assert assign(slots, last, LIMIT) == slots


@given(TARGETS.filter(lambda targets: len(targets) > 1), st.data())
def test_removing_one_moves_at_most_one_unless_the_size_changes(targets: list[Target], data: st.DataObject) -> None:
    slots = assign((), targets, LIMIT)
    gone = data.draw(st.sampled_from(targets))

    after = assign(slots, [target for target in targets if target != gone], LIMIT)

    if len(after) == len(slots):
        changed = sum(old != new for old, new in zip(slots, after, strict=True))
        assert changed <= 2


@given(HISTORIES)
def test_numbers_never_move_while_an_endpoint_stays(history: list[list[Target]]) -> None:
    numbers: Slots = ()
    for wanted in history:
        before = {target: index for index, target in enumerate(numbers) if target is not None}
        numbers = number(numbers, wanted, LIMIT)

        assert sorted(placed(numbers)) == wanted
        for index, target in enumerate(numbers):
            if target in before:
                assert before[target] == index


def test_more_endpoints_than_the_limit_are_cut_off() -> None:
    targets = [Target(f"10.0.0.{n}", 80) for n in range(100)]

    assert placed(assign((), targets, LIMIT)) == targets[:LIMIT]
