"""The Kubernetes DNS specification 1.1.0, one test per rule; expected records as zone-file lines."""

from collections.abc import Callable
from typing import Any

import pytest

from kubesvc.testing.builders import endpoint_slice, namespace, pod, service

SOA = "cluster.local. 5 IN SOA kube-dns.kube-system.svc.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5"
HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
DNS_UDP = {"name": "dns", "port": 53, "protocol": "UDP"}


def headless(name: str, **spec: Any) -> dict[str, Any]:
    return service(name, HTTP, cluster_ip="None", **spec)


def endpoint(address: str, hostname: str = "", **more: Any) -> dict[str, Any]:
    return {"addresses": [address], **({"hostname": hostname} if hostname else {}), **more}


def assert_nxdomain(answer: Any) -> None:
    assert (answer.rcode, answer.answer, answer.authority) == ("NXDOMAIN", [], [SOA])
    assert "AA" in answer.flags


def assert_nodata(answer: Any) -> None:
    assert (answer.rcode, answer.answer, answer.authority) == ("NOERROR", [], [SOA])
    assert "AA" in answer.flags


# 2.2, and the zone itself


def test_the_schema_version_is_a_txt_record(server: Any) -> None:
    answer = server.ask("dns-version.cluster.local", "TXT")
    assert answer.answer == ['dns-version.cluster.local. 28800 IN TXT "1.1.0"']
    assert_nodata(server.ask("dns-version.cluster.local", "A"))


def test_the_apex_has_soa_and_ns_and_nothing_else(server: Any) -> None:
    server.put(service("kube-dns", namespace="kube-system", cluster_ip="10.96.0.10"))
    assert server.ask("cluster.local", "SOA").answer == [SOA]
    answer = server.ask("cluster.local", "NS")
    assert answer.answer == ["cluster.local. 5 IN NS kube-dns.kube-system.svc.cluster.local."]
    assert answer.additional == ["kube-dns.kube-system.svc.cluster.local. 5 IN A 10.96.0.10"]
    assert_nodata(server.ask("cluster.local", "A"))


def test_soa_and_ns_below_the_apex_are_nodata(server: Any) -> None:
    server.put(service("web"))
    for name in ("svc.cluster.local", "default.svc.cluster.local", "web.default.svc.cluster.local"):
        assert_nodata(server.ask(name, "SOA"))
        assert_nodata(server.ask(name, "NS"))


# 2.3 Services with a ClusterIP


def test_a_cluster_ip_is_an_a_record(server: Any) -> None:
    server.put(service("web", cluster_ip="10.96.0.7"))
    answer = server.ask("web.default.svc.cluster.local")
    assert answer.answer == ["web.default.svc.cluster.local. 5 IN A 10.96.0.7"]
    assert answer.authority == answer.additional == []
    assert {"QR", "AA", "RD"} == answer.flags


def test_each_family_has_its_own_record_and_the_absent_one_is_nodata(server: Any) -> None:
    server.put(service("four", cluster_ip="10.96.0.4"), service("six", cluster_ip="fd00:96::6"))
    server.put(service("both", cluster_ip="10.96.0.5", clusterIPs=["10.96.0.5", "fd00:96::5"]))
    assert_nodata(server.ask("four.default.svc.cluster.local", "AAAA"))
    assert_nodata(server.ask("six.default.svc.cluster.local", "A"))
    assert server.ask("six.default.svc.cluster.local", "AAAA").answer == [
        "six.default.svc.cluster.local. 5 IN AAAA fd00:96::6"
    ]
    assert server.ask("both.default.svc.cluster.local", "A").answer == [
        "both.default.svc.cluster.local. 5 IN A 10.96.0.5"
    ]
    assert server.ask("both.default.svc.cluster.local", "AAAA").answer == [
        "both.default.svc.cluster.local. 5 IN AAAA fd00:96::5"
    ]


def test_a_named_port_is_an_srv_record_at_the_service(server: Any) -> None:
    server.put(service("web", HTTP, DNS_UDP, cluster_ip="10.96.0.7"))
    answer = server.ask("_http._tcp.web.default.svc.cluster.local", "SRV")
    assert answer.answer == [
        "_http._tcp.web.default.svc.cluster.local. 5 IN SRV 0 100 80 web.default.svc.cluster.local."
    ]
    assert answer.additional == ["web.default.svc.cluster.local. 5 IN A 10.96.0.7"]
    assert server.ask("_dns._udp.web.default.svc.cluster.local", "SRV").answer == [
        "_dns._udp.web.default.svc.cluster.local. 5 IN SRV 0 100 53 web.default.svc.cluster.local."
    ]


def test_a_port_under_the_wrong_protocol_does_not_exist(server: Any) -> None:
    server.put(service("web", HTTP))
    assert_nxdomain(server.ask("_http._udp.web.default.svc.cluster.local", "SRV"))
    assert_nxdomain(server.ask("_https._tcp.web.default.svc.cluster.local", "SRV"))


def test_an_unnamed_port_has_no_srv_name_but_the_bare_name_lists_every_port(server: Any) -> None:
    server.put(service("web", {"port": 80}, cluster_ip="10.96.0.7"))
    assert_nxdomain(server.ask("_._tcp.web.default.svc.cluster.local", "SRV"))
    assert_nxdomain(server.ask("_tcp.web.default.svc.cluster.local", "SRV"))
    assert server.ask("web.default.svc.cluster.local", "SRV").answer == [
        "web.default.svc.cluster.local. 5 IN SRV 0 100 80 web.default.svc.cluster.local."
    ]


def test_a_port_of_two_protocols_stands_once_under_the_bare_name(server: Any) -> None:
    server.put(service("dns", {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}))
    assert server.ask("dns.default.svc.cluster.local", "SRV").answer == [
        "dns.default.svc.cluster.local. 5 IN SRV 0 100 53 dns.default.svc.cluster.local."
    ]


def test_weights_share_a_hundred(server: Any) -> None:
    ports = [{"name": f"p{n}", "port": n} for n in (1, 2, 3)]
    server.put(service("web", *ports))
    answer = server.ask("web.default.svc.cluster.local", "SRV")
    assert [line.split()[5] for line in answer.answer] == ["33"] * 3


def test_a_cluster_ip_has_a_ptr_in_both_families(server: Any) -> None:
    server.put(service("web", cluster_ip="10.96.0.7", clusterIPs=["10.96.0.7", "fd00:96::7"]))
    assert server.ask("7.0.96.10.in-addr.arpa", "PTR").answer == [
        "7.0.96.10.in-addr.arpa. 5 IN PTR web.default.svc.cluster.local."
    ]
    v6 = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa"
    assert server.ask(v6, "PTR").answer == [f"{v6}. 5 IN PTR web.default.svc.cluster.local."]


def test_a_service_whose_address_is_not_allocated_yet_is_nodata(server: Any) -> None:
    server.put(service("new", cluster_ip="", clusterIPs=[]))
    assert_nodata(server.ask("new.default.svc.cluster.local"))


def test_a_service_may_begin_with_a_digit(server: Any) -> None:
    server.put(service("1kubernetes", cluster_ip="10.96.0.8"))
    assert server.ask("1kubernetes.default.svc.cluster.local").answer == [
        "1kubernetes.default.svc.cluster.local. 5 IN A 10.96.0.8"
    ]


# 2.4 headless Services


def test_a_headless_name_has_every_ready_address(server: Any) -> None:
    server.put(
        headless("db"), endpoint_slice("db", "10.1.0.1", "10.1.0.2", "10.1.0.3!notready", "10.1.0.4!terminating")
    )
    assert server.ask("db.default.svc.cluster.local").answer == [
        "db.default.svc.cluster.local. 5 IN A 10.1.0.1",
        "db.default.svc.cluster.local. 5 IN A 10.1.0.2",
    ]
    assert_nodata(server.ask("db.default.svc.cluster.local", "AAAA"))


def test_a_headless_name_without_ready_endpoints_does_not_exist(server: Any) -> None:
    server.put(headless("db"))
    assert_nxdomain(server.ask("db.default.svc.cluster.local"))
    server.put(endpoint_slice("db", "10.1.0.1!notready", port_name="http"))
    for name in ("db", "_tcp.db", "_http._tcp.db", "10-1-0-1.db"):
        assert_nxdomain(server.ask(f"{name}.default.svc.cluster.local", "SRV"))


def test_readiness_is_the_slices_word_and_nil_means_ready(server: Any) -> None:
    unknown, published = endpoint("10.1.0.1"), endpoint("10.1.0.2", conditions={"ready": True, "serving": False})
    server.put(headless("db", publishNotReadyAddresses=True), endpoint_slice("db", unknown, published))
    assert len(server.ask("db.default.svc.cluster.local").answer) == 2


def test_several_slices_make_one_answer_and_an_address_in_two_stands_once(server: Any) -> None:
    server.put(
        headless("db"),
        endpoint_slice("db", "10.1.0.1", "10.1.0.2", name="db-a"),
        endpoint_slice("db", "10.1.0.2", "10.1.0.3", name="db-b"),
        endpoint_slice("db", "fd00::1", name="db-c"),
    )
    answer = server.ask("db.default.svc.cluster.local").answer
    assert [line.split()[-1] for line in answer] == ["10.1.0.1", "10.1.0.2", "10.1.0.3"]
    assert server.ask("db.default.svc.cluster.local", "AAAA").answer == [
        "db.default.svc.cluster.local. 5 IN AAAA fd00::1"
    ]


def test_a_hostname_is_a_name_of_all_its_addresses(server: Any) -> None:
    server.put(headless("db"), endpoint_slice("db", endpoint("10.1.0.1", "db-0"), endpoint("10.1.0.2", "db-0")))
    assert server.ask("db-0.db.default.svc.cluster.local").answer == [
        "db-0.db.default.svc.cluster.local. 5 IN A 10.1.0.1",
        "db-0.db.default.svc.cluster.local. 5 IN A 10.1.0.2",
    ]
    assert_nxdomain(server.ask("10-1-0-1.db.default.svc.cluster.local"))
    assert_nxdomain(server.ask("db-1.db.default.svc.cluster.local"))


@pytest.mark.parametrize(
    ("address", "label", "qtype"),
    [
        ("10.1.0.1", "10-1-0-1", "A"),
        ("fd00:10::1", "fd00-10--1", "AAAA"),
        ("fd00:10::", "fd00-10--0", "AAAA"),
        ("fd00:10:0:0:0:0:0:2", "fd00-10--2", "AAAA"),
    ],
)
def test_an_endpoint_without_hostname_goes_by_its_dashed_address(
    server: Any, address: str, label: str, qtype: str
) -> None:
    server.put(headless("db"), endpoint_slice("db", address))
    answer = server.ask(f"{label}.db.default.svc.cluster.local", qtype).answer
    assert len(answer) == 1
    assert_nxdomain(server.ask("10-1-0-9.db.default.svc.cluster.local"))


def test_headless_srv_records_are_ports_times_endpoints(server: Any) -> None:
    ports = [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "dns", "port": 5353, "protocol": "UDP"}]
    server.put(headless("db"), endpoint_slice("db", endpoint("10.1.0.1", "db-0"), "10.1.0.2", ports=ports))
    answer = server.ask("_http._tcp.db.default.svc.cluster.local", "SRV")
    assert answer.answer == [
        "_http._tcp.db.default.svc.cluster.local. 5 IN SRV 0 50 8080 10-1-0-2.db.default.svc.cluster.local.",
        "_http._tcp.db.default.svc.cluster.local. 5 IN SRV 0 50 8080 db-0.db.default.svc.cluster.local.",
    ]
    assert answer.additional == [
        "10-1-0-2.db.default.svc.cluster.local. 5 IN A 10.1.0.2",
        "db-0.db.default.svc.cluster.local. 5 IN A 10.1.0.1",
    ]
    assert len(server.ask("db.default.svc.cluster.local", "SRV").answer) == 4


def test_ready_endpoints_have_ptr_records(server: Any) -> None:
    server.put(headless("db"), endpoint_slice("db", endpoint("10.1.0.1", "db-0"), "10.1.0.2", "10.1.0.3!notready"))
    assert server.ask("1.0.1.10.in-addr.arpa", "PTR").answer == [
        "1.0.1.10.in-addr.arpa. 5 IN PTR db-0.db.default.svc.cluster.local."
    ]
    assert server.ask("2.0.1.10.in-addr.arpa", "PTR").answer == [
        "2.0.1.10.in-addr.arpa. 5 IN PTR 10-1-0-2.db.default.svc.cluster.local."
    ]
    assert server.ask("3.0.1.10.in-addr.arpa", "PTR").rcode == "NXDOMAIN"


def test_endpoints_of_cluster_ip_services_have_names_too(server: Any) -> None:
    server.put(service("web"), endpoint_slice("web", "10.1.0.1"))
    assert server.ask("10-1-0-1.web.default.svc.cluster.local").answer == [
        "10-1-0-1.web.default.svc.cluster.local. 5 IN A 10.1.0.1"
    ]
    assert server.ask("1.0.1.10.in-addr.arpa", "PTR").answer == [
        "1.0.1.10.in-addr.arpa. 5 IN PTR 10-1-0-1.web.default.svc.cluster.local."
    ]


def test_slices_of_names_make_a_headless_service_an_alias(server: Any) -> None:
    server.put(headless("out", selector={}), endpoint_slice("out", endpoint("db.example.com"), address_type="FQDN"))
    answer = server.ask("out.default.svc.cluster.local")
    assert (answer.rcode, answer.answer) == ("NOERROR", ["out.default.svc.cluster.local. 5 IN CNAME db.example.com."])


# 2.5 ExternalName


def external(name: str, target: str) -> dict[str, Any]:
    return service(name, cluster_ip="", clusterIPs=None, type="ExternalName", externalName=target)


def test_an_external_name_is_a_cname_whatever_is_asked(server: Any) -> None:
    server.put(external("mysql-server", "serdar.cbanmzptkrzf.us-east-1.rds.amazonaws.com"))
    expected = [
        "mysql-server.default.svc.cluster.local. 5 IN CNAME serdar.cbanmzptkrzf.us-east-1.rds.amazonaws.com."
    ]  # fmt: skip
    for qtype in ("A", "AAAA", "CNAME", "TXT"):
        answer = server.ask("mysql-server.default.svc.cluster.local", qtype)
        assert (answer.rcode, answer.answer, answer.authority) == ("NOERROR", expected, [])


def test_an_external_name_inside_the_cluster_is_followed(server: Any) -> None:
    server.put(service("web", cluster_ip="10.96.0.7"), external("alias", "web.default.svc.cluster.local."))
    assert server.ask("alias.default.svc.cluster.local").answer == [
        "alias.default.svc.cluster.local. 5 IN CNAME web.default.svc.cluster.local.",
        "web.default.svc.cluster.local. 5 IN A 10.96.0.7",
    ]
    first = server.ask("alias.default.svc.cluster.local").message.answer[0]
    assert first.to_text() == "alias.default.svc.cluster.local. 5 IN CNAME web.default.svc.cluster.local."
    answer = server.ask("alias.default.svc.cluster.local", "AAAA")
    assert (answer.rcode, len(answer.answer), answer.authority) == ("NOERROR", 1, [SOA])


def test_an_alias_of_nothing_says_so_behind_its_cname(server: Any) -> None:
    server.put(external("alias", "gone.default.svc.cluster.local"))
    answer = server.ask("alias.default.svc.cluster.local")
    assert (answer.rcode, len(answer.answer), answer.authority) == ("NXDOMAIN", 1, [SOA])


def test_aliases_in_a_ring_come_to_an_end(server: Any) -> None:
    for name, target in (("a", "b"), ("b", "a"), ("self", "self")):
        server.put(external(name, f"{target}.default.svc.cluster.local"))
    assert len(server.ask("a.default.svc.cluster.local").answer) == 2
    assert len(server.ask("self.default.svc.cluster.local").answer) == 1


def test_nothing_is_below_an_external_name(server: Any) -> None:
    server.put(external("alias", "example.com"))
    assert_nxdomain(server.ask("x.alias.default.svc.cluster.local"))
    assert_nxdomain(server.ask("_http._tcp.alias.default.svc.cluster.local", "SRV"))


def test_an_external_name_changes_its_target_and_then_its_type(server: Any) -> None:
    name = "ext.default.svc.cluster.local"
    server.put(external("ext", "foo.example.com"))
    assert server.ask(name, "CNAME").answer == [f"{name}. 5 IN CNAME foo.example.com."]
    server.put(external("ext", "bar.example.com"))
    assert server.ask(name, "CNAME").answer == [f"{name}. 5 IN CNAME bar.example.com."]
    server.put(service("ext", cluster_ip="10.96.0.9"))
    assert server.ask(name, "A").answer == [f"{name}. 5 IN A 10.96.0.9"]


# Pod names, removed in 1.1.0 and still expected


def test_pod_names_spell_an_address_in_an_existing_namespace(server: Any) -> None:
    server.put(namespace("test"))
    assert server.ask("10-1-0-9.test.pod.cluster.local").answer == ["10-1-0-9.test.pod.cluster.local. 5 IN A 10.1.0.9"]
    assert server.ask("fd00--9.test.pod.cluster.local", "AAAA").answer == [
        "fd00--9.test.pod.cluster.local. 5 IN AAAA fd00::9"
    ]
    assert_nodata(server.ask("10-1-0-9.test.pod.cluster.local", "AAAA"))
    assert_nxdomain(server.ask("10-1-0-9.nowhere.pod.cluster.local"))
    assert_nxdomain(server.ask("10-1-0-999.test.pod.cluster.local"))


def test_pod_names_can_be_disabled(make_server: Callable[..., Any]) -> None:
    server = make_server(pods="disabled")
    server.put(namespace("test"))
    assert_nxdomain(server.ask("10-1-0-9.test.pod.cluster.local"))


def test_pod_names_can_be_verified(make_server: Callable[..., Any]) -> None:
    server = make_server(pods="verified")
    server.put(namespace("test"), namespace("other"))
    assert_nxdomain(server.ask("10-1-0-9.test.pod.cluster.local"))
    server.put(pod("p", namespace="test", ip="10.1.0.9"))
    assert len(server.ask("10-1-0-9.test.pod.cluster.local").answer) == 1
    assert_nxdomain(server.ask("10-1-0-9.other.pod.cluster.local"))
    server.put(pod("p", namespace="test", ip="10.1.0.9", phase="Succeeded"))
    assert_nxdomain(server.ask("10-1-0-9.test.pod.cluster.local"))


# What exists, and what does not


def test_every_level_above_a_name_exists_and_is_empty(server: Any) -> None:
    server.put(service("web", HTTP))
    for name in ("cluster.local", "svc.cluster.local", "pod.cluster.local", "default.svc.cluster.local"):
        assert_nodata(server.ask(name))
    assert_nodata(server.ask("_tcp.web.default.svc.cluster.local"))
    assert_nodata(server.ask("_http._tcp.web.default.svc.cluster.local", "A"))


def test_what_is_not_there_is_nxdomain_at_every_level(server: Any) -> None:
    server.put(service("web", HTTP))
    for name in (
        "nope.cluster.local",
        "nowhere.svc.cluster.local",
        "nowhere.pod.cluster.local",
        "nope.default.svc.cluster.local",
        "web.nowhere.svc.cluster.local",
        "x.web.default.svc.cluster.local",
        "_udp.web.default.svc.cluster.local",
        "_a._b._tcp.web.default.svc.cluster.local",
        "x.y.z.web.default.svc.cluster.local",
        "web.default.svc.cluster.local.default.svc.cluster.local",
    ):
        assert_nxdomain(server.ask(name))


def test_a_namespace_exists_from_its_object_to_its_last_service(server: Any) -> None:
    assert_nxdomain(server.ask("test.svc.cluster.local"))
    server.put(namespace("test"), service("web", namespace="test"))
    assert_nodata(server.ask("test.svc.cluster.local"))
    server.remove(namespace("test") | {"kind": "Namespace"})
    assert_nodata(server.ask("test.svc.cluster.local"))
    server.remove(service("web", namespace="test"))
    assert_nxdomain(server.ask("test.svc.cluster.local"))


def test_a_zone_is_a_matter_of_labels_not_of_letters(server: Any) -> None:
    server.put(service("web"))
    answer = server.ask("web.default.svc.mycluster.local")
    assert answer.rcode == "NXDOMAIN"
    assert answer.authority[0].startswith(". 5 IN SOA")


@pytest.mark.parametrize("name", ["10.in-addr.arpa", "in-addr.arpa", "1.10.in-addr.arpa", "0.0.d.f.ip6.arpa"])
def test_part_of_an_address_is_never_denied(server: Any, name: str) -> None:
    assert server.ask(name, "PTR").rcode == "NOERROR"


@pytest.mark.parametrize(
    "name",
    ["256.0.0.10.in-addr.arpa", "01.0.0.10.in-addr.arpa", "x.0.0.10.in-addr.arpa", "1.1.1.1.1.in-addr.arpa"],
)
def test_what_is_no_address_does_not_exist(server: Any, name: str) -> None:
    answer = server.ask(name, "PTR")
    assert answer.rcode == "NXDOMAIN"
    assert answer.authority[0].startswith("in-addr.arpa. 5 IN SOA")


# Changes


def test_a_change_is_in_the_next_answer_and_only_its_own_names_are_worked_out_again(server: Any) -> None:
    server.put(service("web", cluster_ip="10.96.0.7"), service("other", cluster_ip="10.96.0.8"))
    for name in ("web", "other"):
        server.ask(f"{name}.default.svc.cluster.local")
    remembered = len(server.responder._known)
    server.put(service("web", cluster_ip="10.96.0.9"))
    assert len(server.responder._known) == remembered - 1
    assert server.ask("web.default.svc.cluster.local").answer == ["web.default.svc.cluster.local. 5 IN A 10.96.0.9"]
    assert server.ask("7.0.96.10.in-addr.arpa", "PTR").rcode == "NXDOMAIN"


def test_a_denied_name_is_answered_as_soon_as_it_exists(server: Any) -> None:
    assert server.ask("late.default.svc.cluster.local").rcode == "NXDOMAIN"
    assert server.ask("5.0.96.10.in-addr.arpa", "PTR").rcode == "NXDOMAIN"
    server.put(service("late", cluster_ip="10.96.0.5"))
    assert server.ask("late.default.svc.cluster.local").rcode == "NOERROR"
    assert server.ask("5.0.96.10.in-addr.arpa", "PTR").rcode == "NOERROR"


def test_an_alias_follows_the_change_of_its_target(server: Any) -> None:
    server.put(external("alias", "web.default.svc.cluster.local"))
    assert server.ask("alias.default.svc.cluster.local").rcode == "NXDOMAIN"
    server.put(service("web", cluster_ip="10.96.0.7"))
    assert len(server.ask("alias.default.svc.cluster.local").answer) == 2


def test_a_slice_that_goes_takes_its_names_along(server: Any) -> None:
    slice_ = endpoint_slice("db", "10.1.0.1")
    server.put(headless("db"), slice_)
    assert server.ask("1.0.1.10.in-addr.arpa", "PTR").rcode == "NOERROR"
    assert server.ask("db.default.svc.cluster.local").rcode == "NOERROR"
    server.remove(slice_)
    assert server.ask("1.0.1.10.in-addr.arpa", "PTR").rcode == "NXDOMAIN"
    assert_nxdomain(server.ask("db.default.svc.cluster.local"))


def test_a_slice_may_arrive_before_its_service(server: Any) -> None:
    server.put(endpoint_slice("db", "10.1.0.1"))
    assert server.ask("1.0.1.10.in-addr.arpa", "PTR").rcode == "NXDOMAIN"
    server.put(headless("db"))
    assert server.ask("1.0.1.10.in-addr.arpa", "PTR").rcode == "NOERROR"


def test_each_of_ten_thousand_services_answers_exactly_its_address(server: Any) -> None:
    for n in range(10_000):
        server.put(service(f"svc-{n}", namespace=f"ns-{n % 7}", cluster_ip=f"10.96.{n >> 8}.{n & 255}"))
    for n in range(0, 10_000, 97):
        name = f"svc-{n}.ns-{n % 7}.svc.cluster.local"
        assert server.ask(name).answer == [f"{name}. 5 IN A 10.96.{n >> 8}.{n & 255}"]


# Another domain, another TTL


def test_domain_and_ttl_are_free(make_server: Callable[..., Any]) -> None:
    server = make_server(domain="k8s.example.org", ttl=30)
    server.put(service("web", cluster_ip="10.96.0.7"))
    assert server.ask("web.default.svc.k8s.example.org").answer == [
        "web.default.svc.k8s.example.org. 30 IN A 10.96.0.7"
    ]
    assert server.ask("web.default.svc.cluster.local").rcode == "NXDOMAIN"


# Before the names are known


@pytest.mark.parametrize("name", ["web.default.svc.cluster.local", "cluster.local", "7.0.96.10.in-addr.arpa"])
def test_until_all_is_known_every_name_of_ours_is_a_servfail(server: Any, name: str) -> None:
    server.responder.synced = False
    assert server.ask(name).rcode == "SERVFAIL"
    server.responder.synced = True
    assert server.ask(name).rcode != "SERVFAIL"
