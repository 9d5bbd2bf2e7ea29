"""Endpoints fit into slices of at most 100, with as few writes as can be."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesvc.api.views import Endpoint, EndpointConditions, EndpointPort, EndpointSlice, ObjectMeta
from kubesvc.controllers.endpointslice.endpoints import Ports, identity
from kubesvc.controllers.endpointslice.packing import MAX_ENDPOINTS, Plan, plan_slices

HTTP: Ports = (EndpointPort(name="http", protocol="TCP", port=8080),)
OTHER: Ports = (EndpointPort(name="http", protocol="TCP", port=9090),)
BLANK = EndpointSlice(metadata=ObjectMeta(namespace="default", generate_name="web-", labels={"app": "web"}))


def endpoint(number: int, *, ready: bool = True) -> Endpoint:
    address = f"10.0.{number // 250}.{number % 250}"
    return Endpoint(addresses=(address,), conditions=EndpointConditions(ready=ready))


def existing(name: str, endpoints: list[Endpoint], ports: Ports = HTTP) -> EndpointSlice:
    meta = msgspec.structs.replace(BLANK.metadata, name=name, uid=f"uid-{name}", resource_version="1")
    return msgspec.structs.replace(BLANK, metadata=meta, ports=ports, endpoints=tuple(endpoints))


def carried_out(plan: Plan, before: list[EndpointSlice]) -> list[EndpointSlice]:
    """The slices after the plan's writes, as the API would hold them."""
    after = {found.metadata.name: found for found in before}
    for gone in plan.deletes:
        del after[gone.metadata.name]
    for changed in plan.updates:
        assert changed.metadata.name in after
        after[changed.metadata.name] = changed
    for number, new in enumerate(plan.creates):
        assert not new.metadata.name
        name = f"new-{number}-{len(after)}"
        after[name] = msgspec.structs.replace(new, metadata=msgspec.structs.replace(new.metadata, name=name))
    return list(after.values())


def contents(slices: list[EndpointSlice]) -> list[tuple[Ports, Endpoint]]:
    return sorted(((s.ports or (), e) for s in slices for e in s.endpoints or ()), key=repr)


numbers = st.sets(st.integers(0, 320), max_size=260)
wanted_groups = st.fixed_dictionaries({}, optional={HTTP: numbers, OTHER: numbers})


@st.composite
def slices_before(draw: st.DrawFn) -> list[EndpointSlice]:
    found = []
    for name in range(draw(st.integers(0, 4))):
        members = draw(st.lists(st.integers(0, 320), max_size=110))
        ready = draw(st.booleans())
        ports = draw(st.sampled_from((HTTP, OTHER)))
        found.append(existing(f"s{name}", [endpoint(n, ready=ready) for n in members], ports))
    return found


@settings(max_examples=60, deadline=None)
@given(slices_before(), wanted_groups)
def test_carrying_out_a_plan_leads_to_exactly_the_wanted_endpoints(
    before: list[EndpointSlice], groups: dict[Ports, set[int]]
) -> None:
    wanted = {ports: [endpoint(n) for n in sorted(members)] for ports, members in groups.items()}
    after = carried_out(plan_slices(BLANK, before, wanted), before)
    assert contents(after) == sorted(((p, e) for p, members in wanted.items() for e in members), key=repr)
    assert all(len(s.endpoints or ()) <= MAX_ENDPOINTS for s in after)


@settings(max_examples=60, deadline=None)
@given(slices_before(), wanted_groups)
def test_a_second_plan_changes_nothing(before: list[EndpointSlice], groups: dict[Ports, set[int]]) -> None:
    wanted = {ports: [endpoint(n) for n in sorted(members)] for ports, members in groups.items()}
    after = carried_out(plan_slices(BLANK, before, wanted), before)
    again = plan_slices(BLANK, after, wanted)
    assert (again.creates, again.updates, again.deletes) == ([], [], [])


def test_one_changed_endpoint_rewrites_only_its_slice() -> None:
    before = [existing("a", [endpoint(n) for n in range(100)]), existing("b", [endpoint(n) for n in range(100, 200)])]
    wanted = [endpoint(n, ready=n != 150) for n in range(200)]
    plan = plan_slices(BLANK, before, {HTTP: wanted})
    assert [s.metadata.name for s in plan.updates] == ["b"]
    assert not plan.creates
    assert not plan.deletes


def test_a_new_endpoint_joins_the_fullest_slice_that_is_written_anyway() -> None:
    before = [
        existing("small", [endpoint(n) for n in range(10)]),
        existing("large", [endpoint(n) for n in range(10, 90)]),
        existing("same", [endpoint(n) for n in range(100, 160)]),
    ]
    wanted = [endpoint(n) for n in (*range(1, 89), *range(100, 160), 300)]
    plan = plan_slices(BLANK, before, {HTTP: wanted})
    sizes = {s.metadata.name: len(s.endpoints or ()) for s in plan.updates}
    assert sizes == {"large": 80, "small": 9}
    assert [s.metadata.name for s in plan.kept] == ["same"]


def test_a_new_endpoint_goes_into_the_unchanged_slice_it_fits_best() -> None:
    before = [existing("a", [endpoint(1)]), existing("b", [endpoint(n) for n in range(10, 60)])]
    wanted = [endpoint(n) for n in (1, *range(10, 60), 300)]
    plan = plan_slices(BLANK, before, {HTTP: wanted})
    assert [s.metadata.name for s in plan.updates] == ["b"]


def test_a_slice_to_delete_is_rewritten_rather_than_another_created() -> None:
    before = [existing("a", [endpoint(1)], OTHER)]
    plan = plan_slices(BLANK, before, {HTTP: [endpoint(1)]})
    assert [(s.metadata.name, s.ports) for s in plan.updates] == [("a", HTTP)]
    assert not plan.creates
    assert not plan.deletes


def test_251_endpoints_make_three_slices() -> None:
    plan = plan_slices(BLANK, [], {HTTP: [endpoint(n) for n in range(251)]})
    assert [len(s.endpoints or ()) for s in plan.creates] == [100, 100, 51]


def test_the_order_of_ports_makes_no_other_slice() -> None:
    two: Ports = (*HTTP, EndpointPort(name="dns", protocol="UDP", port=53))
    plan = plan_slices(BLANK, [existing("a", [endpoint(1)], two)], {tuple(reversed(two)): [endpoint(1)]})
    assert [s.metadata.name for s in plan.kept] == ["a"]


def test_a_changed_label_of_the_service_is_written_to_its_slices() -> None:
    relabelled = msgspec.structs.replace(BLANK, metadata=msgspec.structs.replace(BLANK.metadata, labels={"app": "new"}))
    plan = plan_slices(relabelled, [existing("a", [endpoint(1)])], {HTTP: [endpoint(1)]})
    assert [s.metadata.labels for s in plan.updates] == [{"app": "new"}]


def test_the_same_pod_with_another_readiness_is_the_same_endpoint() -> None:
    assert identity(endpoint(1)) == identity(endpoint(1, ready=False))
