"""LoadBalancer Services get addresses from the pool, or stay pending."""

from ipaddress import ip_address, ip_network
from typing import Any

import msgspec
import pytest

from kubesvc.api.views import Service
from kubesvc.controllers.changes import Patch, Tell
from kubesvc.controllers.loadbalancer import FINALIZER, Allocation, reconcile
from kubesvc.testing import builders

POOL = ip_network("192.0.2.0/30")
FIRST, SECOND = ip_address("192.0.2.1"), ip_address("192.0.2.2")


def svc(*, given: str = "", finalizers: list[str] | None = None, deleting: bool = False, **fields: Any) -> Service:
    document = builders.service("lb", **({"type": "LoadBalancer"} | fields))
    if given:
        document["status"] = {"loadBalancer": {"ingress": [{"ip": given, "ipMode": "VIP"}]}}
    document["metadata"]["finalizers"] = finalizers
    if deleting:
        document["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return msgspec.convert(document, Service)


def reasons(allocation: Allocation) -> list[str]:
    return [change.note.reason for change in allocation.changes if isinstance(change, Tell)]


def patch(allocation: Allocation) -> dict[str, Any]:
    [found] = [change for change in allocation.changes if isinstance(change, Patch)]
    assert found.subresource == "status"
    document: dict[str, Any] = found.patch
    return document


def test_the_lowest_free_address_is_given_with_the_finalizer() -> None:
    allocation = reconcile(svc(), pool=POOL, taken={FIRST})
    assert allocation.address == SECOND
    written = patch(allocation)
    assert written["status"] == {"loadBalancer": {"ingress": [{"ip": "192.0.2.2", "ipMode": "VIP"}]}}
    assert written["metadata"]["finalizers"] == [FINALIZER]
    assert reasons(allocation) == ["EnsuringLoadBalancer", "EnsuredLoadBalancer"]


def test_without_a_provider_nothing_is_touched() -> None:
    assert reconcile(svc(), pool=None, taken=set()) == Allocation([], None)


def test_an_address_given_earlier_stays_when_the_provider_is_switched_off() -> None:
    assert reconcile(svc(given="192.0.2.1", finalizers=[FINALIZER]), pool=None, taken=set()) == Allocation([], FIRST)


def test_a_settled_service_writes_nothing() -> None:
    assert reconcile(svc(given="192.0.2.1", finalizers=[FINALIZER]), pool=POOL, taken=set()) == Allocation([], FIRST)


def test_a_requested_address_is_given() -> None:
    assert reconcile(svc(loadBalancerIP="192.0.2.2"), pool=POOL, taken=set()).address == SECOND


@pytest.mark.parametrize(
    ("requested", "taken", "words"),
    [
        ("192.0.2.2", {SECOND}, "the requested address 192.0.2.2 is already in use"),
        ("198.51.100.1", set(), "the requested address 198.51.100.1 is not in the pool 192.0.2.0/30"),
        ("", {FIRST, SECOND}, "no free address is left in the pool 192.0.2.0/30"),
    ],
)
def test_what_cannot_be_given_is_told_and_stays_pending(requested: str, taken: Any, words: str) -> None:
    allocation = reconcile(svc(loadBalancerIP=requested), pool=POOL, taken=taken)
    assert allocation.address is None
    [told] = allocation.changes
    assert isinstance(told, Tell)
    assert (told.note.type, told.note.reason) == ("Warning", "SyncLoadBalancerFailed")
    assert told.note.message.endswith(words)


def test_a_service_of_a_class_belongs_to_another_provider() -> None:
    assert reconcile(svc(loadBalancerClass="x/y"), pool=POOL, taken=set()) == Allocation([], None)


@pytest.mark.parametrize("pool", [POOL, None])
@pytest.mark.parametrize("leaving", [{"deleting": True}, {"type": "ClusterIP"}])
def test_a_service_that_leaves_gives_its_address_back(pool: Any, leaving: dict[str, Any]) -> None:
    service = svc(given="192.0.2.1", finalizers=[FINALIZER, "x/other"], **leaving)
    allocation = reconcile(service, pool=pool, taken=set())
    assert allocation.address is None
    written = patch(allocation)
    assert written["metadata"]["finalizers"] == ["x/other"]
    assert written["status"] == {"loadBalancer": {"ingress": None}}
    assert reasons(allocation) == ["DeletingLoadBalancer", "DeletedLoadBalancer"]


def test_a_service_of_the_other_family_is_told_so() -> None:
    allocation = reconcile(svc(ipFamilies=["IPv6"], cluster_ip="fd00::1"), pool=POOL, taken=set())
    assert reasons(allocation) == ["SyncLoadBalancerFailed"]
