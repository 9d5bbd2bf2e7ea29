"""Fixed names, rewritten names, and what they do to the names of the cluster."""

from typing import Any

import dns.message

from kubesvc.dns import wire
from kubesvc.dns.hosts import Hosts
from kubesvc.dns.responder import Pending, Responder
from kubesvc.dns.rewrite import Rewrite, rewritten
from kubesvc.dns.rows import ServiceRow
from kubesvc.dns.view import View
from kubesvc.testing.builders import service

FILE = """
# comment
10.0.0.1\tnode-a node-a.example   # trailing
fd00::1   node-a.example
not-an-address x
10.0.0.9
"""


def test_hosts_answer_forward_and_backward(server: Any) -> None:
    server.responder.use_hosts(Hosts(FILE, ttl=60))
    assert server.ask("node-a.example").answer == ["node-a.example. 60 IN A 10.0.0.1"]
    assert server.ask("NODE-A.example", "AAAA").answer == ["NODE-A.example. 60 IN AAAA fd00::1"]
    assert server.ask("1.0.0.10.in-addr.arpa", "PTR").answer == ["1.0.0.10.in-addr.arpa. 60 IN PTR node-a."]
    assert server.ask("node-a", "AAAA").rcode == "NOERROR"
    assert server.ask("node-b.example").rcode == "NXDOMAIN"


def test_new_hosts_are_in_the_next_answer(server: Any) -> None:
    assert server.ask("node-a.example").rcode == "NXDOMAIN"
    server.responder.use_hosts(Hosts(FILE))
    assert server.ask("node-a.example").rcode == "NOERROR"
    server.responder.use_hosts(Hosts(""))
    assert server.ask("node-a.example").rcode == "NXDOMAIN"


def test_what_an_external_name_leads_to_may_be_a_fixed_name() -> None:
    responder = Responder(View(), forwarded=[(wire.ROOT, ())])
    responder.synced = True
    responder.apply(ServiceRow("default", "node", external_name="node-a.example"))
    query = wire.encode_query(7, wire.name_from_text("node.default.svc.cluster.local"), wire.Type.A)
    assert isinstance(responder.answer(query), Pending)
    responder.use_hosts(Hosts("10.0.0.1 node-a.example"))
    for _ in range(2):
        reply = responder.answer(query)
        assert isinstance(reply, bytes)
        assert [str(rrset[0]) for rrset in dns.message.from_wire(reply).answer] == ["node-a.example.", "10.0.0.1"]


def test_hosts_are_known_before_the_cluster_is(server: Any) -> None:
    server.responder.synced = False
    server.responder.use_hosts(Hosts("10.0.0.1 web.default.svc.cluster.local"))
    assert server.ask("web.default.svc.cluster.local").rcode == "NOERROR"
    assert server.ask("db.default.svc.cluster.local").rcode == "SERVFAIL"


def test_reverse_can_be_left_out() -> None:
    hosts = Hosts(FILE, reverse=False)
    assert hosts.find(wire.name_from_text("1.0.0.10.in-addr.arpa"), wire.Type.PTR) is None


def test_each_kind_of_rewrite() -> None:
    name = wire.name_from_text("web.shop.example.org")
    for kind, match, replacement, expected in (
        ("exact", "web.shop.example.org.", "a.b.", "a.b"),
        ("prefix", "web.", "www.", "www.shop.example.org"),
        ("suffix", ".example.org.", ".svc.cluster.local.", "web.shop.svc.cluster.local"),
        ("substring", "shop", "store", "web.store.example.org"),
        ("regex", r"(.*)\.(.*)\.example\.org\.", "{1}-{2}.x.", "web-shop.x"),
        ("exact", "other.", "a.b.", "web.shop.example.org"),
        ("regex", "(.*)", "{1}" * 20, "web.shop.example.org"),
    ):
        assert rewritten((Rewrite(kind, match, replacement),), name) == wire.name_from_text(expected)


def test_a_rewritten_name_is_answered_as_it_was_asked(server: Any) -> None:
    rules = (Rewrite("suffix", ".example.org.", ".svc.cluster.local."),)
    server.responder = Responder(View(), rewrites=rules)
    server.responder.synced = True
    server.put(service("web", cluster_ip="10.96.0.7"))
    assert server.ask("web.default.example.org").answer == ["web.default.example.org. 5 IN A 10.96.0.7"]
    assert server.ask("web.default.example.org", "AAAA").authority[0].startswith("cluster.local. 5 IN SOA")
    assert server.ask("nope.default.example.org").rcode == "NXDOMAIN"
    server.put(service("nope", cluster_ip="10.96.0.8"))
    assert server.ask("nope.default.example.org").rcode == "NOERROR"


def test_only_forwarded_zones_go_upstream(server: Any) -> None:
    corp = wire.name_from_text("corp.example")
    responder = Responder(View(), forwarded=[(corp, ())])
    server.responder = responder
    for name, pending in (("a.corp.example", True), ("corp.example", True), ("notcorp.example", False), ("x", False)):
        message = wire.encode_query(1, wire.name_from_text(name), wire.Type.A)
        assert isinstance(responder.answer(message), Pending) == pending
