"""What comes and goes leaves nothing behind: counted in objects, not in bytes."""

import gc
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.proxy.proxy_engines import Place, key_of, put, tracker_of

from kubesvc.api.resources import Key
from kubesvc.proxy import addresses
from kubesvc.proxy.nftables import words
from kubesvc.proxy.nftables.compiler import RESTING, Compiler, Full, Numbers
from kubesvc.proxy.tracker import Tracker
from kubesvc.testing.builders import endpoint_slice, service

ROUNDS = 3 * RESTING


def come_and_go(tracker: Tracker, compiler: Compiler, number: int) -> None:
    """A Service with addresses and an endpoint of its own is served, and is no longer."""
    name, ip = f"web-{number}", f"{number // 250 % 250}.{number % 250}"
    documents = (
        service(name, port=80, cluster_ip=f"10.96.{ip}", externalIPs=[f"203.0.{ip}"]),
        endpoint_slice(name, f"10.244.{ip}@node-{number % 5}", port=8080),
    )
    put(tracker, *documents)
    names = list(tracker.plan(Key("default", name)).ports)
    for each, plan in tracker.plan(Key("default", name)).ports.items():
        compiler.set_port(each, plan)
    tracker.set_service(Key("default", name), None)
    tracker.set_slice(key_of(documents[1]), None)
    for each in names:
        compiler.set_port(each, None)
    tracker.take_dirty()


def held(*roots: object) -> Iterator[Any]:
    """Every object that can be reached from these without going through a class or a module."""
    seen: set[int] = set()
    todo: list[object] = list(roots)
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, (type, ModuleType)):
            continue
        seen.add(id(each))
        yield each
        todo += gc.get_referents(each)


def test_services_that_came_and_went_leave_nothing_but_resting_numbers() -> None:
    tracker, compiler = tracker_of(Place(), []), Compiler()
    come_and_go(tracker, compiler, 0)
    first = sum(1 for _ in held(tracker, compiler))
    for number in range(1, ROUNDS):
        come_and_go(tracker, compiler, number)

    after = sum(1 for _ in held(tracker, compiler))

    assert after - first <= RESTING + 1


def test_addresses_of_services_that_are_gone_are_not_remembered() -> None:
    tracker, compiler = tracker_of(Place(), []), Compiler()
    for number in range(ROUNDS):
        come_and_go(tracker, compiler, number)

    cached = addresses._parse.cache_info()

    assert cached.maxsize is not None
    assert cached.currsize <= cached.maxsize <= 1024


def test_a_number_rests_until_enough_others_were_given_back_after_it() -> None:
    numbers = Numbers()
    first = numbers.take()
    numbers.give_back(first)
    taken = []
    for _ in range(RESTING):
        taken.append(numbers.take())
        numbers.give_back(taken[-1])

    assert first not in taken
    assert numbers.take() == first
    assert max(taken) <= RESTING + 1


def test_when_no_new_numbers_are_left_those_that_rest_are_taken() -> None:
    numbers = Numbers()
    for _ in range(words.MAX_ID):
        numbers.take()
    numbers.give_back(7)

    assert numbers.take() == 7
    with pytest.raises(Full, match=str(words.MAX_ID)):
        numbers.take()


@given(st.lists(st.one_of(st.none(), st.integers(1, 12), st.sampled_from(["back"])), max_size=60))
def test_no_number_is_given_twice(history: list[int | str | None]) -> None:
    numbers = Numbers()
    held_now: list[int] = []
    for step in history:
        if step == "back":
            if held_now:
                numbers.give_back(held_now.pop(0))
            continue
        number = numbers.take(step if isinstance(step, int) else None)
        assert number not in held_now
        held_now.append(number)
