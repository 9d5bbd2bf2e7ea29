"""Session affinity by source address, per service port, on every backend, by the packet tracer."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import (
    ENGINES,
    Document,
    Place,
    nft_engine,
    outcomes,
    plans_of,
    put,
    say,
    tracker_of,
)

from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.compiler import Compiler
from kubesvc.proxy.nftables.jhash import client_key, jhash
from kubesvc.proxy.rules import PodSource
from kubesvc.proxy.trace import Engine, Outcome
from kubesvc.testing.builders import endpoint_slice, service

CLUSTER, NODE_PORT, BALANCER = (f"tcp/{table.DESTINATIONS[name]}" for name in ("cluster", "nodeport", "balancer"))


def engines_after(engine: str, *steps: tuple[Document, ...]) -> list[Engine]:
    """The engine after each step of changes to the objects."""
    place = Place()
    tracker = tracker_of(place, ())
    make = ENGINES[engine] if engine != "nftables" else partial(nft_engine, compiler=Compiler())
    made = []
    for step in steps:
        put(tracker, *step)
        made.append(make(place, plans_of(tracker)))
    return made


def sticky(*endpoints: str, **spec: Any) -> tuple[Document, ...]:
    return table.everything(*endpoints, sessionAffinity="ClientIP", **spec)


def single(found: Iterable[Outcome]) -> Outcome:
    (outcome,) = found
    return outcome


@pytest.mark.parametrize("engine", ENGINES)
def test_every_endpoint_is_chosen_first_and_stays_chosen(engine: str) -> None:
    (rules,) = engines_after(engine, sticky(*table.LOCAL_AND_REMOTE))

    first = outcomes(rules, table.OUTSIDE, CLUSTER)

    assert table.shorten(say(first)) == "102* 103* 202*"
    for outcome in first:
        again = single(outcomes(rules, table.OUTSIDE, CLUSTER, memory=outcome.memory))
        assert (again.target, again.memory) == (outcome.target, outcome.memory)


@pytest.mark.parametrize("engine", ENGINES)
def test_all_addresses_of_a_port_share_the_memory(engine: str) -> None:
    (rules,) = engines_after(engine, sticky(*table.LOCAL_AND_REMOTE))

    for outcome in outcomes(rules, table.OUTSIDE, CLUSTER):
        for destination in (NODE_PORT, BALANCER):
            assert single(outcomes(rules, table.OUTSIDE, destination, memory=outcome.memory)).target == outcome.target


@pytest.mark.parametrize("engine", ENGINES)
def test_clients_are_told_apart(engine: str) -> None:
    (rules,) = engines_after(engine, sticky(*table.LOCAL_AND_REMOTE))

    for outcome in outcomes(rules, table.OUTSIDE, CLUSTER):
        other = outcomes(rules, table.REMOTE_POD, CLUSTER, memory=outcome.memory)
        assert len({each.target for each in other}) == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_a_client_of_a_removed_endpoint_gets_another_and_keeps_it(engine: str) -> None:
    before, after = engines_after(
        engine, sticky(*table.LOCAL_AND_REMOTE), sticky(f"{table.POD}@node-a", f"{table.REMOTE_POD}@node-b")
    )
    bound = next(o for o in outcomes(before, table.OUTSIDE, CLUSTER) if o.target and o.target.ip == table.SECOND_POD)

    moved = outcomes(after, table.OUTSIDE, CLUSTER, memory=bound.memory)

    assert table.shorten(say(moved)) == "102* 202*"
    for outcome in moved:
        assert single(outcomes(after, table.OUTSIDE, CLUSTER, memory=outcome.memory)).target == outcome.target


@pytest.mark.parametrize("engine", ENGINES)
def test_the_local_list_binds_to_local_endpoints_only(engine: str) -> None:
    (rules,) = engines_after(engine, sticky(*table.LOCAL_AND_REMOTE, externalTrafficPolicy="Local"))

    first = outcomes(rules, table.OUTSIDE, NODE_PORT)

    assert table.shorten(say(first)) == "102 103"
    for outcome in first:
        assert single(outcomes(rules, table.OUTSIDE, NODE_PORT, memory=outcome.memory)).target == outcome.target
        # The cluster list knows the client from the local one.
        assert single(outcomes(rules, table.OUTSIDE, CLUSTER, memory=outcome.memory)).target == outcome.target


@pytest.mark.parametrize("engine", ENGINES)
def test_a_client_bound_to_a_remote_endpoint_is_bound_anew_by_the_local_list(engine: str) -> None:
    (rules,) = engines_after(engine, sticky(*table.LOCAL_AND_REMOTE, externalTrafficPolicy="Local"))
    remote = next(o for o in outcomes(rules, table.OUTSIDE, CLUSTER) if o.target and o.target.ip == table.REMOTE_POD)

    assert table.shorten(say(outcomes(rules, table.OUTSIDE, NODE_PORT, memory=remote.memory))) == "102 103"


@pytest.mark.parametrize("engine", ENGINES)
def test_affinity_in_ipv6(engine: str) -> None:
    place = Place(
        Family.IPV6, addresses=("2001:db8::1",), pods=PodSource(("fd00:244::/48",)), service_cidrs=("fd00:96::/112",),
        extra_local=("::1",),
    )  # fmt: skip
    objects = (
        service("web", port=80, cluster_ip="fd00:96::a", node_port=30080, sessionAffinity="ClientIP"),
        endpoint_slice("web", "fd00:244::2@node-a", "fd00:244::3@node-a", port=8080),
    )
    rules = ENGINES[engine](place, plans_of(tracker_of(place, objects)))

    first = outcomes(rules, "2001:db8::9", "tcp/[fd00:96::a]:80")

    assert say(first) == "fd00:244::2* fd00:244::3*"
    for outcome in first:
        again = single(outcomes(rules, "2001:db8::9", "tcp/[2001:db8::1]:30080", memory=outcome.memory))
        assert again.target == outcome.target


def test_ipv6_clients_are_known_by_the_hashes_the_kernel_makes_of_them() -> None:
    one, other = client_key("2001:db8::9"), client_key("2001:db8::a")

    assert len(set(one) | set(other)) == 4
    assert jhash(b"", 0) != jhash(bytes(4), 0) != jhash(bytes(16), 0)
    assert client_key("192.0.2.9") == ("192.0.2.9",)
