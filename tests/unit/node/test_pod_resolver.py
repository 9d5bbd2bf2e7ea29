"""resolv.conf, hosts and hostname of a pod, as the kubelet writes them."""

from typing import Any

import msgspec
import pytest

from kubesvc.api.views import Pod
from kubesvc.node.hostnames import hosts_file, kernel_hostname
from kubesvc.node.resolver import ResolverConfig, ResolverFile, parse_resolver_config, resolver_file
from kubesvc.testing import builders

HOST = ResolverConfig(("192.0.2.53",), ("corp.example",), ("timeout:1",))


def resolver(**spec: Any) -> list[str]:
    return file_of(**spec).text.splitlines()


def file_of(**spec: Any) -> ResolverFile:
    return resolver_file(pod(**spec), host=HOST, cluster_dns="10.96.0.10", domain="cluster.local")


def pod(name: str = "web", **spec: Any) -> Pod:
    return msgspec.convert(builders.pod(name, namespace="shop", **spec), Pod)


def test_cluster_first_asks_the_cluster_and_searches_the_namespace_first() -> None:
    assert resolver() == [
        "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example",
        "nameserver 10.96.0.10",
        "options ndots:5",
    ]


@pytest.mark.parametrize("spec", [{"dnsPolicy": "Default"}, {"hostNetwork": True}])
def test_default_and_the_hosts_network_use_the_nodes_own(spec: dict[str, Any]) -> None:
    assert resolver(**spec) == ["search corp.example", "nameserver 192.0.2.53", "options timeout:1"]


def test_cluster_first_with_host_net_asks_the_cluster() -> None:
    assert "nameserver 10.96.0.10" in resolver(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet")


def test_none_takes_only_what_the_pod_says() -> None:
    config = {
        "nameservers": ["192.0.2.1"],
        "searches": ["."],
        "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}],
    }
    assert resolver(dnsPolicy="None", dnsConfig=config) == [
        "search .",
        "nameserver 192.0.2.1",
        "options ndots:2 rotate",
    ]


def test_dns_config_adds_servers_and_replaces_options_of_the_same_name() -> None:
    config = {"nameservers": ["192.0.2.1"], "searches": ["x.example"], "options": [{"name": "ndots", "value": "1"}]}
    lines = resolver(dnsConfig=config)
    assert lines[0].endswith("corp.example x.example")
    assert lines[1:] == ["nameserver 10.96.0.10", "nameserver 192.0.2.1", "options ndots:1"]


def test_what_exceeds_the_limits_is_cut_with_a_complaint() -> None:
    config = {"nameservers": [f"192.0.2.{n}" for n in range(1, 5)], "searches": [f"s{n}.example" for n in range(40)]}
    file = file_of(dnsConfig=config)
    assert file.text.count("nameserver") == 3
    assert len(file.text.splitlines()[0].split()) == 33
    assert len(file.complaints) == 2


def test_a_resolver_file_is_read_as_the_c_library_reads_it() -> None:
    text = "# made by hand\nsearch old\nsearch a.example. b.example\nnameserver 192.0.2.53\noptions ndots:2 rotate\n"
    assert parse_resolver_config(text) == ResolverConfig(
        ("192.0.2.53",), ("a.example", "b.example"), ("ndots:2", "rotate")
    )


def test_hosts_name_the_pod_with_its_subdomain_and_its_aliases() -> None:
    aliases = [{"ip": "192.0.2.7", "hostnames": ["db", "db.example"]}]
    text = hosts_file(
        pod(hostname="first", subdomain="peers", hostAliases=aliases),
        domain="cluster.local", addresses=("10.244.1.5",), node_file="",
    )  # fmt: skip
    assert "127.0.0.1\tlocalhost\n" in text
    assert "10.244.1.5\tfirst.peers.shop.svc.cluster.local\tfirst\n" in text
    assert text.endswith("192.0.2.7\tdb\tdb.example\n")


def test_hosts_of_a_pod_on_the_hosts_network_are_the_nodes() -> None:
    text = hosts_file(pod(hostNetwork=True), domain="cluster.local", addresses=(), node_file="127.0.0.1\tmachine\n")
    assert "127.0.0.1\tmachine\n" in text
    assert "web" not in text


def test_a_long_pod_name_is_cut_to_a_label() -> None:
    assert kernel_hostname(pod("a" * 62 + "-b"), "cluster.local") == "a" * 62


def test_the_kernel_hostname_is_the_full_name_on_request() -> None:
    full = pod(subdomain="peers", setHostnameAsFQDN=True)
    assert kernel_hostname(full, "cluster.local") == "web.peers.shop.svc.cluster.local"
