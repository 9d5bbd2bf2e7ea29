"""`kubesvc dns query`: the search list of a pod, and where each record came from."""

import argparse
import json
from typing import Any

import pytest

from kubesvc.client.rest import Client
from kubesvc.dns import query_command
from kubesvc.dns.explain import explain, explanation_lines
from kubesvc.dns.query_flags import add_arguments
from kubesvc.dns.wire import BadName, Type
from kubesvc.testing.builders import endpoint_slice, namespace, service
from kubesvc.testing.local import LocalTransport


def lines(server: Any, name: str, qtype: Type = Type.A, namespace: str = "default") -> list[str]:
    explanation = explain(server.responder.view, name, qtype, namespace)
    return [line.replace("\t", " ") for line in explanation_lines(explanation)]


def test_a_short_name_is_found_in_the_pods_own_namespace(server: Any) -> None:
    server.put(service("web", cluster_ip="10.96.0.7"))
    assert lines(server, "web") == [
        "; web.default.svc.cluster.local. NOERROR",
        "web.default.svc.cluster.local. 5 IN A 10.96.0.7 ; service default/web",
    ]


def test_a_name_with_its_namespace_is_found_on_the_second_try(server: Any) -> None:
    server.put(namespace("other"), service("web", cluster_ip="10.96.0.7"))
    assert lines(server, "web.default", namespace="other") == [
        "; web.default.other.svc.cluster.local. NXDOMAIN",
        "; web.default.svc.cluster.local. NOERROR",
        "web.default.svc.cluster.local. 5 IN A 10.96.0.7 ; service default/web",
    ]


def test_a_foreign_name_goes_down_the_whole_list(server: Any) -> None:
    assert lines(server, "example.com") == [
        "; example.com.default.svc.cluster.local. NXDOMAIN",
        "; example.com.svc.cluster.local. NXDOMAIN",
        "; example.com.cluster.local. NXDOMAIN",
        "; example.com. OUTSIDE",
    ]
    assert lines(server, "example.com.") == ["; example.com. OUTSIDE"]


def test_endpoints_are_named_with_their_slice(server: Any) -> None:
    server.put(service("db", cluster_ip="None"), endpoint_slice("db", "10.1.0.1", name="db-x7"))
    assert lines(server, "db")[-1] == "db.default.svc.cluster.local. 5 IN A 10.1.0.1 ; endpointslice default/db-x7"


def test_an_alias_that_leaves_the_cluster_says_so(server: Any) -> None:
    server.put(service("ext", type="ExternalName", externalName="example.com", cluster_ip=""))
    assert lines(server, "ext") == [
        "; ext.default.svc.cluster.local. NOERROR",
        "ext.default.svc.cluster.local. 5 IN CNAME example.com. ; service default/ext",
        "; example.com. lies outside of the cluster, or has no such records",
    ]


def test_what_is_no_name_is_refused(server: Any) -> None:
    with pytest.raises(BadName, match="label"):
        lines(server, "a..b")


def parse(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(argv)


async def test_the_command_reads_the_live_objects(capsys: pytest.CaptureFixture[str]) -> None:
    bad = service("bad", cluster_ip="not-an-address", namespace="shop")
    api = LocalTransport(namespace("shop"), service("web", cluster_ip="10.96.0.7", namespace="shop"), bad)
    client = Client(api)
    assert await query_command.run(parse("web", "a", "--from-namespace", "shop", "-o", "json"), client) == 0
    out, err = capsys.readouterr()
    (step,) = json.loads(out)["steps"]
    assert step["records"][0]["source"] == "service shop/web"
    assert "service shop/bad" in err
    assert await query_command.run(parse("nope"), client) == 1
    assert await query_command.run(parse("web", "NONSENSE"), client) == 2
    assert "NONSENSE" in capsys.readouterr().err
