"""The iptables backend and the kernel's chains, both variants and families: what it writes, and what it notices."""

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from tests.kernel.iptables_kernel import VARIANTS, Kernel, Kernels, kernels, namespace, services, some
from tests.unit.proxy import proxy_behaviour as table
from tests.unit.proxy.proxy_engines import place_of, plans_of, tracker_of
from tests.unit.proxy.proxy_families import in_family
from tests.unit.proxy.proxy_vectors import VECTORS

from kubesvc.proxy.iptables.backend import IptablesBackend, remove_chains
from kubesvc.proxy.model import Family, PortPlan, ServicePortName
from kubesvc.testing.builders import endpoint_slice, service

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]

Plans = Mapping[ServicePortName, PortPlan]


@pytest.fixture
def node() -> Iterator[None]:
    with namespace():
        yield


@pytest.fixture
def open_kernel(node: None) -> Iterator[Kernels]:
    with kernels() as make:
        yield make


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_restart_writes_nothing_whatever_the_rules_are(
    node: None, variant: str, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every case of the behaviour table, one after the other in one kernel; with and without comments."""
    for many in (1000, 0):
        monkeypatch.setattr("kubesvc.proxy.iptables.backend._MANY_ENDPOINTS", many)
        for each in (*table.CASES, *VECTORS):
            case = in_family(each, family)
            place = place_of(case, family)
            plans = plans_of(tracker_of(place, case.objects))
            kernel = Kernel(variant, place)
            try:
                first = asyncio.run(kernel.backend.full_sync(plans))
                assert kernel.backend.intact(), case.name
                kernel.restart()
                second = asyncio.run(kernel.backend.full_sync(plans))
            finally:
                kernel.backend.close()
            # What the kernel has no module for is refused each time, and nothing else is.
            assert second.refused.keys() == first.refused.keys(), case.name
            assert not first.refused or case.protocol == "SCTP", first.refused
            assert second.writes == 0, (case.name, kernel.iptables.texts)


@pytest.mark.parametrize("variant", VARIANTS)
def test_of_many_chains_the_one_that_differs_is_restored(open_kernel: Kernels, variant: str) -> None:
    plans = services(*some())
    kernel = open_kernel(variant)
    asyncio.run(kernel.backend.full_sync(plans))
    wanted = kernel.save()
    chain = next(line for line in wanted if line.startswith(":KUBE-SVC-")).split()[0][1:]
    kernel.run("-t", "nat", "-R", chain, "1", "-j", "RETURN")

    kernel.restart()
    report = asyncio.run(kernel.backend.full_sync(plans))

    assert kernel.save() == wanted
    assert kernel.iptables.touched == {chain}
    assert report.writes < 10


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_restart_brings_only_what_has_changed_meanwhile(open_kernel: Kernels, variant: str) -> None:
    kernel = open_kernel(variant)
    asyncio.run(kernel.backend.full_sync(services(*some(6))))
    later = services(*some(5), *table.everything(*table.LOCAL_AND_REMOTE, sessionAffinity="ClientIP"))

    kernel.restart()
    asyncio.run(kernel.backend.full_sync(later))
    kernel.restart()
    report = asyncio.run(kernel.backend.full_sync(later))

    assert report.writes == 0
    listed = kernel.save()
    assert not any("10.96.1.6/" in line for line in listed)
    assert any("--rcheck" in line for line in listed)


async def _change(backend: IptablesBackend, *steps: Plans) -> None:
    """Go from the first plans to the last ones by changes alone."""
    before: Plans = {}
    for plans in steps:
        changes = {name: plans.get(name) for name in {*before, *plans} if before.get(name) != plans.get(name)}
        report = await backend.sync(changes)
        assert not report.partial_failed
        before = plans


@pytest.mark.parametrize("variant", VARIANTS)
def test_changes_end_where_a_full_sync_would(open_kernel: Kernels, variant: str) -> None:
    kernel = open_kernel(variant)
    asyncio.run(kernel.backend.full_sync({}))
    states = [
        services(*some(number), *table.everything(*table.LOCAL_AND_REMOTE[:number], sessionAffinity=affinity))
        for number, affinity in ((3, "None"), (1, "ClientIP"), (2, "None"), (0, "None"), (3, "ClientIP"))
    ]

    asyncio.run(_change(kernel.backend, *states))

    assert kernel.backend.intact()
    kernel.restart()
    assert asyncio.run(kernel.backend.full_sync(states[-1])).writes == 0


MEDDLING: dict[str, tuple[str, ...]] = {
    "all rules of a table are flushed": ("-t", "nat", "-F"),
    "a shared chain is flushed": ("-t", "nat", "-F", "KUBE-SERVICES"),
    "a rule is taken out": ("-t", "nat", "-D", "KUBE-SERVICES", "1"),
    "a rule is added": ("-t", "filter", "-I", "KUBE-FORWARD", "1", "-j", "DROP"),
    "a jump is taken out": ("-t", "filter", "-D", "FORWARD", "1"),
}


@pytest.mark.parametrize("what", MEDDLING)
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_others_do_to_our_rules_shows_and_is_mended(open_kernel: Kernels, variant: str, what: str) -> None:
    plans = services(*some())
    kernel = open_kernel(variant)
    asyncio.run(kernel.backend.full_sync(plans))
    wanted = kernel.save()
    assert kernel.backend.intact()

    kernel.run(*MEDDLING[what])

    assert not kernel.backend.intact()
    asyncio.run(kernel.backend.full_sync(plans))
    assert kernel.save() == wanted
    assert kernel.backend.intact()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_meddler_is_noticed_although_we_write_ourselves(open_kernel: Kernels, variant: str) -> None:
    plans = services(*some())
    kernel = open_kernel(variant)
    asyncio.run(kernel.backend.full_sync(plans))
    name = next(iter(plans))

    kernel.run("-t", "filter", "-I", "KUBE-FORWARD", "1", "-j", "DROP")
    asyncio.run(kernel.backend.sync({name: None}))

    assert not kernel.backend.intact()


def test_with_nftables_a_rule_replaced_by_another_is_noticed(open_kernel: Kernels) -> None:
    kernel = open_kernel("nft")
    asyncio.run(kernel.backend.full_sync(services(*some())))

    kernel.run("-t", "filter", "-R", "KUBE-FORWARD", "1", "-m", "conntrack", "--ctstate", "INVALID", "-j", "ACCEPT")

    assert not kernel.backend.intact()


def test_with_nftables_what_others_do_to_chains_of_their_own_is_their_business(
    open_kernel: Kernels,
) -> None:
    kernel = open_kernel("nft")
    asyncio.run(kernel.backend.full_sync(services(*some())))

    kernel.run("-t", "nat", "-N", "THEIRS")
    kernel.run("-t", "nat", "-A", "THEIRS", "-s", "192.0.2.7", "-j", "RETURN")
    kernel.run("-t", "nat", "-I", "POSTROUTING", "-j", "THEIRS")
    kernel.run("-t", "nat", "-D", "POSTROUTING", "-j", "THEIRS")
    subprocess.run(["nft", "add table ip theirs; add chain ip theirs KUBE-SERVICES"], check=True)

    assert kernel.backend.intact()


@pytest.mark.parametrize("variant", VARIANTS)
def test_rules_and_chains_of_others_survive_loads_repairs_and_cleanup(open_kernel: Kernels, variant: str) -> None:
    kernel = open_kernel(variant)
    kernel.run("-t", "nat", "-N", "THEIRS")
    kernel.run("-t", "nat", "-A", "THEIRS", "-s", "192.0.2.7", "-j", "RETURN")
    kernel.run("-t", "nat", "-A", "POSTROUTING", "-s", "10.9.0.0/16", "-j", "MASQUERADE")
    kernel.run("-t", "filter", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT")
    before = kernel.save()

    asyncio.run(kernel.backend.full_sync(services(*some())))
    kernel.run("-t", "nat", "-F", "KUBE-SERVICES")
    asyncio.run(kernel.backend.full_sync(services(*some(2))))
    assert set(before) <= set(kernel.save())
    remove_chains()

    assert kernel.save() == before


@pytest.mark.parametrize("variant", VARIANTS)
def test_critical_services_are_in_force_before_all_others(open_kernel: Kernels, variant: str) -> None:
    dns = service("kube-dns", port=53, cluster_ip="10.96.0.10")
    dns["metadata"]["namespace"] = "kube-system"
    slice_ = endpoint_slice("kube-dns", "10.244.1.9@node-a", port=5353)
    slice_["metadata"]["namespace"] = "kube-system"
    kernel = open_kernel(variant)

    asyncio.run(kernel.backend.full_sync(services(*some(), dns, slice_)))

    texts = kernel.iptables.texts
    served = next(index for index, text in enumerate(texts) if "-I KUBE-SERVICES 1 -d 10.96.0.10/32" in text)
    others = next(index for index, text in enumerate(texts) if "10.244.7." in text)
    assert served < others


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_port_that_iptables_refuses_costs_only_itself(open_kernel: Kernels, variant: str) -> None:
    kernel = open_kernel(variant)
    plans = services(*some())
    bad = next(name for name in plans if name.service == "s3")
    # An address in the wrong family passes every check but the kernel's.
    plans[bad] = _with_target(plans[bad], "fd00::1")

    report = asyncio.run(kernel.backend.full_sync(plans))

    assert set(report.refused) == {bad}
    listed = kernel.save()
    assert any("10.96.1.2/32" in line and "KUBE-SVC" in line for line in listed)
    assert not any("10.96.1.4/32" in line for line in listed)
    assert kernel.backend.intact()
    del plans[bad]
    assert not asyncio.run(kernel.backend.full_sync(plans)).refused


def _with_target(plan: PortPlan, ip: str) -> PortPlan:
    return replace(plan, cluster=(plan.cluster[0]._replace(ip=ip),))
