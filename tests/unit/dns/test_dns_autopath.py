"""The search list of ndots:5, answered in one round trip."""

from typing import Any

import pytest

from kubesvc.dns import wire
from kubesvc.dns.answers import Resolution
from kubesvc.dns.records import address
from kubesvc.dns.responder import Pending, Responder
from kubesvc.dns.view import View
from kubesvc.dns.wire import Rcode, Type
from kubesvc.testing.builders import namespace, service

FIRST_TRY = "example.com.default.svc.cluster.local"


@pytest.fixture
def walking(server: Any) -> Any:
    server.responder = Responder(View(), forwarded=[(wire.ROOT, ())], autopath=True)
    server.responder.synced = True
    server.put(namespace("default"), namespace("shop"))
    return server


def ask(server: Any, name: str, qtype: Type = Type.A) -> Any:
    return server.responder.answer(wire.encode_query(1, wire.name_from_text(name), qtype))


def test_a_foreign_name_is_asked_upstream_at_the_first_try(walking: Any) -> None:
    pending = ask(walking, FIRST_TRY)
    assert isinstance(pending, Pending)
    assert wire.name_to_text(pending.name) == "example.com."
    resolution = Resolution(Rcode.NOERROR, (address(pending.name, 60, bytes((192, 0, 2, 1))),))
    reply = walking.read(walking.responder.complete(pending, resolution))
    assert [rrset.to_text() for rrset in reply.message.answer] == [
        f"{FIRST_TRY}. 5 IN CNAME example.com.",
        "example.com. 60 IN A 192.0.2.1",
    ]


def test_a_name_with_a_namespace_is_found_at_the_first_try(walking: Any) -> None:
    walking.put(service("web", namespace="shop", cluster_ip="10.96.0.7"))
    assert walking.ask("web.shop.default.svc.cluster.local").answer == [
        "web.shop.default.svc.cluster.local. 5 IN CNAME web.shop.svc.cluster.local.",
        "web.shop.svc.cluster.local. 5 IN A 10.96.0.7",
    ]
    walking.put(service("web", namespace="shop", cluster_ip="10.96.0.8"))
    assert walking.ask("web.shop.default.svc.cluster.local").answer[1].endswith("10.96.0.8")


def test_services_that_do_not_exist_stay_quick_denials(walking: Any) -> None:
    assert walking.ask("nope.default.svc.cluster.local").rcode == "NXDOMAIN"


def test_other_types_other_namespaces_and_ports_are_left_alone(walking: Any) -> None:
    assert walking.ask(FIRST_TRY, "TXT").rcode == "NXDOMAIN"
    assert walking.ask("example.com.nowhere.svc.cluster.local").rcode == "NXDOMAIN"
    assert walking.ask("_http._tcp.nope.default.svc.cluster.local").rcode == "NXDOMAIN"


def test_without_an_upstream_a_foreign_name_is_denied(walking: Any) -> None:
    walking.responder = Responder(View(), autopath=True)
    walking.responder.synced = True
    walking.put(namespace("default"))
    assert walking.ask(FIRST_TRY).rcode == "NXDOMAIN"
    walking.put(service("example", namespace="com", cluster_ip="10.96.0.9"))
    assert walking.ask(FIRST_TRY).rcode == "NOERROR"


def test_what_upstream_denies_is_denied(walking: Any) -> None:
    pending = ask(walking, FIRST_TRY)
    assert isinstance(pending, Pending)
    assert walking.read(walking.responder.complete(pending, Resolution(Rcode.NXDOMAIN))).rcode == "NXDOMAIN"
