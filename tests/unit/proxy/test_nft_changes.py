"""From plans to kernel changes: exact, small, and the same wherever one comes from."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.proxy.proxy_engines import NODE, Place, plans_of, put, tracker_of

from kubesvc.proxy.model import ServicePortName
from kubesvc.proxy.nftables import words
from kubesvc.proxy.nftables.compile import too_many
from kubesvc.proxy.nftables.compiler import Compiler
from kubesvc.proxy.nftables.elements import Changes, ElementKey, Value
from kubesvc.proxy.nftables.layout import fingerprint
from kubesvc.proxy.nftables.ledger import Ledger
from kubesvc.testing.builders import endpoint_slice, service

KEYS: st.SearchStrategy[ElementKey] = st.tuples(
    st.sampled_from(["services", "hairpins", "endpoints-tcp"]), st.integers(0, 5)
)
VALUES: st.SearchStrategy[Value] = st.integers(0, 3)
ELEMENTS = st.dictionaries(KEYS, VALUES, max_size=8)


def applied(elements: dict[ElementKey, Value], changes: Changes) -> dict[ElementKey, Value]:
    """What the kernel holds after the changes, which it would refuse where this fails."""
    result = dict(elements)
    for key, _ in changes.deletes:
        del result[key]
    for key, value in changes.adds:
        assert result.get(key, value) == value, f"element {key} exists with another value"
        result[key] = value
    return result


def shared_only(elements: dict[ElementKey, Value]) -> dict[ElementKey, Value]:
    return {key: value for key, value in elements.items() if key[0] != "endpoints-tcp"}


@given(st.lists(st.tuples(st.sampled_from("abc"), ELEMENTS.map(shared_only)), max_size=12))
def test_the_kernel_holds_what_the_ledger_says_whoever_comes_and_goes(
    history: list[tuple[str, dict[ElementKey, Value]]],
) -> None:
    ledger: Ledger[str] = Ledger()
    kernel: dict[ElementKey, Value] = {}
    for owner, elements in history:
        kernel = applied(kernel, ledger.replace(owner, elements))

        assert kernel == dict(ledger.items())
        assert kernel.keys() == {key for each in "abc" for key in ledger.of(each)}


def test_the_first_of_two_services_keeps_a_shared_address_until_it_lets_go() -> None:
    ledger: Ledger[str] = Ledger()
    key = ("services", "203.0.113.5", 6, 80)
    ledger.replace("first", {key: 1})
    assert not ledger.replace("second", {key: 2})

    changes = ledger.replace("first", {})

    assert (changes.deletes, changes.adds) == ([(key, 1)], [(key, 2)])


SERVICES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.fixed_dictionaries(
        {
            "endpoints": st.lists(st.integers(2, 20), unique=True, max_size=10),
            "affinity": st.booleans(),
            "external": st.booleans(),
            "local": st.booleans(),
        }
    ),
)


def documents(state: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    made = []
    for name, spec in sorted(state.items()):
        number = ord(name) - ord("a") + 1
        more: dict[str, Any] = {"sessionAffinity": "ClientIP"} if spec["affinity"] else {}
        if spec["external"]:
            more |= {"node_port": 30000 + number, "externalTrafficPolicy": "Local" if spec["local"] else "Cluster"}
        made.append(service(name, port=80, cluster_ip=f"10.96.0.{number}", **more))
        endpoints = [f"10.244.{number}.{n}@node-{'a' if n % 2 else 'b'}" for n in spec["endpoints"]]
        made.append(endpoint_slice(name, *endpoints, port=8080))
    return made


@settings(max_examples=60, deadline=None)
@given(st.lists(SERVICES, min_size=1, max_size=6))
def test_incremental_changes_end_where_a_fresh_start_would_and_a_restart_changes_nothing(
    history: list[dict[str, dict[str, Any]]],
) -> None:
    compiler = Compiler()
    kernel: dict[ElementKey, Value] = {}
    plans: dict[ServicePortName, Any] = {}
    for state in history:
        plans = plans_of(tracker_of(Place(), documents(state)))
        for name in [name for name in compiler.ledger.owners() if name not in plans]:
            kernel = applied(kernel, compiler.set_port(name, None))
        for name, plan in plans.items():
            kernel = applied(kernel, compiler.set_port(name, plan))
        assert kernel == dict(compiler.ledger.items())

    restarted = Compiler()
    restarted.adopt(kernel)
    for name, plan in plans.items():
        restarted.set_port(name, plan)

    assert dict(restarted.ledger.items()) == kernel


@pytest.mark.parametrize("endpoints", [1, 2, 10, 33])
def test_a_cluster_ip_service_is_its_endpoints_and_two_more_elements(endpoints: int) -> None:
    compiler = Compiler()
    addresses = [f"10.244.9.{n + 1}@node-b" for n in range(endpoints)]
    tracker = tracker_of(Place(), [service("web", port=80), endpoint_slice("web", *addresses, port=8080)])
    for name, plan in plans_of(tracker).items():
        compiler.set_port(name, plan)

    counts = Counter(key[0] for key, _ in compiler.ledger.items())

    assert counts == {"endpoints-tcp": endpoints, "cluster-ips": 1, "services": 1}


def test_the_static_rules_follow_the_settings_only() -> None:
    assert fingerprint(Place().settings) == fingerprint(Place(zone="z1").settings)
    assert fingerprint(Place().settings) != fingerprint(Place(masquerade_all=True).settings)


def test_one_endpoint_more_or_less_is_one_element() -> None:
    compiler = Compiler()
    tracker = tracker_of(Place(), [service("web", port=80)])

    def with_endpoints(count: int) -> tuple[int, int]:
        addresses = [f"10.244.9.{n + 1}@node-b" for n in range(count)]
        put(tracker, endpoint_slice("web", *addresses, port=8080))
        ((name, plan),) = plans_of(tracker).items()
        changes = compiler.set_port(name, plan)
        return len(changes.deletes), len(changes.adds)

    with_endpoints(10)
    assert with_endpoints(11) == (0, 1)
    assert with_endpoints(10) == (1, 0)


def test_more_endpoints_than_any_list_or_number_can_hold() -> None:
    remote = [{"addresses": [f"10.{n // 62500}.{n // 250 % 250}.{n % 250 + 1}"]} for n in range(16_000)]
    local = [{"addresses": [f"11.0.{n // 250}.{n % 250 + 1}"], "nodeName": NODE} for n in range(9_000)]
    tracker = tracker_of(
        Place(),
        [
            service("web", port=80, node_port=30000, sessionAffinity="ClientIP", externalTrafficPolicy="Local"),
            endpoint_slice("web", *remote, *local, address_type="IPv4"),
        ],
    )
    ((name, plan),) = plans_of(tracker).items()

    counts = Counter(key[0] for key, _ in Compiler().set_port(name, plan).adds)

    assert counts["bound-tcp"] == counts["choices"] == 2 * words.MAX_SLOTS - 1
    assert too_many(plan) == "only 8192 of 25000 endpoints can be chosen"
