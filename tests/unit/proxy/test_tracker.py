"""What the informers say -> which Services have to be planned again, and what is left out."""

from typing import Any

import msgspec
import pytest
from tests.unit.proxy.proxy_engines import NODE, Document, key_of, put

from kubesvc.api import views
from kubesvc.api.resources import Key
from kubesvc.proxy.model import Family
from kubesvc.proxy.services import parse_service
from kubesvc.proxy.tracker import Tracker
from kubesvc.testing.builders import endpoint_slice, node, service

WEB = Key("default", "web")


def tracker_with(*documents: Document, family: Family = Family.IPV4) -> Tracker:
    tracker = Tracker(family, NODE)
    put(tracker, *documents)
    tracker.take_dirty()
    return tracker


def targets(tracker: Tracker, key: Key = WEB) -> list[str]:
    return [f"{t.ip}:{t.port}" for plan in tracker.plan(key).ports.values() for t in plan.cluster]


def decode(document: Document, view: type[Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(document), type=view)


def test_a_slice_makes_only_its_service_dirty() -> None:
    tracker = tracker_with(service("web"), service("other", cluster_ip="10.96.0.2"))

    put(tracker, endpoint_slice("web", "10.1.2.3@node-b"))

    assert tracker.take_dirty() == {WEB}


def test_an_object_seen_again_unchanged_makes_nothing_dirty() -> None:
    tracker = tracker_with(service("web"), endpoint_slice("web", "10.1.2.3@node-b"), node(NODE, ip="192.0.2.1"))

    put(tracker, service("web"), endpoint_slice("web", "10.1.2.3@node-b"), node(NODE, ip="192.0.2.1"))

    assert tracker.take_dirty() == set()


def test_a_new_zone_makes_everything_dirty() -> None:
    tracker = tracker_with(service("web"), service("other", cluster_ip="10.96.0.2"), node(NODE, ip="192.0.2.1"))

    put(tracker, node(NODE, ip="192.0.2.1", zone="z1"))

    assert tracker.take_dirty() == {WEB, Key("default", "other")}


def test_a_slice_may_come_before_its_service() -> None:
    tracker = tracker_with(endpoint_slice("web", "10.1.2.3@node-b", port=8080))
    assert targets(tracker) == []

    put(tracker, service("web"))

    assert targets(tracker) == ["10.1.2.3:8080"]


def test_a_slice_that_moves_to_another_service_leaves_the_first() -> None:
    slice_ = endpoint_slice("web", "10.1.2.3@node-b", name="slice")
    tracker = tracker_with(service("web"), service("other", cluster_ip="10.96.0.2"), slice_)

    put(tracker, endpoint_slice("other", "10.1.2.3@node-b", name="slice"))

    assert tracker.take_dirty() == {WEB, Key("default", "other")}
    assert (targets(tracker), targets(tracker, Key("default", "other"))) == ([], ["10.1.2.3:80"])


def test_a_deleted_slice_takes_its_endpoints_away() -> None:
    slice_ = endpoint_slice("web", "10.1.2.3@node-b")
    tracker = tracker_with(service("web"), slice_)

    tracker.set_slice(key_of(slice_), None)

    assert (tracker.take_dirty(), targets(tracker)) == ({WEB}, [])


def test_a_deleted_service_has_no_plan() -> None:
    tracker = tracker_with(service("web"), endpoint_slice("web", "10.1.2.3@node-b"))

    tracker.set_service(WEB, None)

    assert (tracker.take_dirty(), tracker.plan(WEB).ports) == ({WEB}, {})


@pytest.mark.parametrize(
    "document",
    [
        service("web", cluster_ip="None"),
        service("web", cluster_ip=""),
        service("web", type="ExternalName"),
        service("web", labels={"service.kubernetes.io/service-proxy-name": "other"}),
        service("web", labels={"service.kubernetes.io/headless": ""}),
    ],
    ids=["headless", "not allocated", "ExternalName", "claimed by another proxy", "headless by label"],
)
def test_services_that_are_not_proxied(document: Document) -> None:
    assert tracker_with(document).plan(WEB).ports == {}


@pytest.mark.parametrize("label", ["headless", "service-proxy-name"])
def test_slices_of_others_are_left_alone(label: str) -> None:
    slice_ = endpoint_slice("web", "10.1.2.3@node-b", labels={f"service.kubernetes.io/{label}": ""})

    assert targets(tracker_with(service("web"), slice_)) == []


def test_dual_stack_gives_each_family_its_own() -> None:
    both = service("web", cluster_ip="10.96.0.9", externalIPs=["203.0.113.1", "2001:db8::1"])
    both["spec"] |= {"clusterIPs": ["10.96.0.9", "fd00::9"], "ipFamilies": ["IPv4", "IPv6"]}
    slices = (endpoint_slice("web", "10.1.2.3@b"), endpoint_slice("web", "fd01::3@b", name="web-6"))

    four, six = (tracker_with(both, *slices, family=family).plan(WEB).ports for family in Family)

    ((_, plan4),), ((_, plan6),) = four.items(), six.items()
    assert (plan4.service.cluster_ip, plan4.service.external_ips) == ("10.96.0.9", ("203.0.113.1",))
    assert (plan6.service.cluster_ip, plan6.service.external_ips) == ("fd00::9", ("2001:db8::1",))
    assert ([t.ip for t in plan4.cluster], [t.ip for t in plan6.cluster]) == (["10.1.2.3"], ["fd01::3"])


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "169.254.1.1", "web", ""])
def test_what_cannot_be_an_endpoint_is_left_out_with_a_reason(address: str) -> None:
    tracker = tracker_with(service("web"))
    bad = endpoint_slice("web", "10.1.2.3@node-b")
    bad["endpoints"].append({"addresses": [address], "conditions": {"ready": True}})

    complaints = tracker.set_slice(key_of(bad), decode(bad, views.EndpointSlice))

    assert [complaint.reason for complaint in complaints] == ["InvalidEndpoint"]
    assert targets(tracker) == ["10.1.2.3:80"]


def test_ports_out_of_range_and_unknown_protocols_are_left_out_with_a_reason() -> None:
    ports = [{"name": "a", "port": 0}, {"name": "b", "port": 70000}, {"name": "c", "port": 1, "protocol": "ICMP"}]
    document = service("web", *ports, {"name": "d", "port": 80})

    found, complaints = parse_service(decode(document, views.Service), Family.IPV4)

    assert [name.port for name in found] == ["d"]
    assert {complaint.reason for complaint in complaints} == {"InvalidPort"}


def test_addresses_that_are_none_are_left_out_with_a_reason() -> None:
    document = service("web", load_balancer_ips=("nowhere", "203.0.113.2"), externalIPs=["x"], node_port=30000)

    found, complaints = parse_service(decode(document, views.Service), Family.IPV4)

    (port,) = found.values()
    assert (port.load_balancer_ips, port.external_ips) == (("203.0.113.2",), ())
    assert {complaint.reason for complaint in complaints} == {"InvalidAddress"}


def test_a_port_without_a_number_is_skipped() -> None:
    assert targets(tracker_with(service("web"), endpoint_slice("web", "10.1.2.3@b", port=None))) == []


def test_endpoints_are_found_by_port_name_and_protocol() -> None:
    dns = service("web", {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53})
    ports = [{"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "dns-tcp", "port": 5354, "protocol": "TCP"}]
    tracker = tracker_with(dns, endpoint_slice("web", "10.1.2.3@b", ports=ports))

    found = {str(name): [t.port for t in plan.cluster] for name, plan in tracker.plan(WEB).ports.items()}

    assert found == {"default/web:dns": [5353], "default/web:dns-tcp": [5354]}


def test_health_counts_distinct_local_ready_addresses() -> None:
    ports = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    document = service("web", *ports, type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=32000)
    slice_ = endpoint_slice("web", f"10.1.2.3@{NODE}", f"10.1.2.4@{NODE}!terminating", "10.1.2.5@b", ports=ports)

    health = tracker_with(document, slice_).plan(WEB).health

    assert health is not None
    assert (health.port, health.local_ready) == (32000, 1)


def test_a_hairpin_is_needed_where_a_pod_may_meet_itself() -> None:
    slice_ = endpoint_slice("web", f"10.1.2.3@{NODE}", "10.1.2.4@b", {"addresses": ["10.1.2.5"]})

    ((_, plan),) = tracker_with(service("web"), slice_).plan(WEB).ports.items()

    assert plan.hairpins == ("10.1.2.3", "10.1.2.5")


def test_an_endpoint_that_does_not_say_whether_it_serves_does() -> None:
    slice_ = endpoint_slice("web", {"addresses": ["10.1.2.3"], "conditions": {"ready": False, "terminating": True}})

    assert targets(tracker_with(service("web"), slice_)) == ["10.1.2.3:80"]


@pytest.mark.parametrize(
    ("written", "meant"), [("010.001.02.3", "10.1.2.3"), ("::ffff:10.1.2.3", "10.1.2.3"), (" 10.1.2.3", "10.1.2.3")]
)
def test_addresses_as_old_objects_write_them(written: str, meant: str) -> None:
    inside = service("web", cluster_ip=written)
    outside = service("web", externalIPs=[written], load_balancer_ips=(written,))
    slice_ = endpoint_slice("web", {"addresses": [written]}, address_type="IPv4")

    ((_, plan),) = tracker_with(inside, slice_).plan(WEB).ports.items()
    ((_, other),) = tracker_with(outside, slice_).plan(WEB).ports.items()

    assert (plan.service.cluster_ip, other.service.external_ips, plan.cluster[0].ip) == (meant, (meant,), meant)


def test_an_external_address_that_is_the_services_own_cluster_ip_is_that_only() -> None:
    document = service("web", cluster_ip="10.96.0.9", externalIPs=["10.96.0.9"], load_balancer_ips=("10.96.0.9",))

    ((_, plan),) = tracker_with(document).plan(WEB).ports.items()

    assert plan.service.addresses == ("10.96.0.9",)


def test_the_status_says_where_a_balancer_answers_whatever_the_type() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    document = service("web", status=status, loadBalancerSourceRanges=["010.0.0.0/8"])

    ((_, plan),) = tracker_with(document).plan(WEB).ports.items()

    assert (plan.service.load_balancer_ips, plan.service.source_ranges) == (("203.0.113.7",), ("10.0.0.0/8",))
    assert plan.service.external
