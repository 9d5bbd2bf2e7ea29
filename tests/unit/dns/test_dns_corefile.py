"""Corefiles as kubeadm, kind and k3s ship them, and the errors of those that cannot be followed."""

from pathlib import Path

import pytest

from kubesvc.dns.corefile import CorefileError, parse_corefile, read_corefile
from kubesvc.dns.options import DnsOptions, HostsOptions
from kubesvc.dns.rewrite import Rewrite

KUBEADM = """
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
"""

K3S = """
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
    }
    hosts /etc/coredns/NodeHosts {
      ttl 60
      reload 15s
      fallthrough
    }
    prometheus :9153
    cache 30
    loop
    reload
    loadbalance
    import custom/*.override
    forward . /etc/resolv.conf
}
import custom/*.server
"""


def parse(text: str) -> DnsOptions:
    return parse_corefile(text, DnsOptions())


def test_kubeadms_file() -> None:
    options = parse(KUBEADM)
    assert options == DnsOptions(
        ttl=30, pods="insecure", upstreams=("/etc/resolv.conf",), lameduck=5.0, cache_ttl=30, reload=30.0
    )


def test_k3ss_file() -> None:
    options = parse(K3S)
    assert options.hosts == HostsOptions(file="/etc/coredns/NodeHosts", ttl=60, reload=15.0)
    assert (options.health_port, options.lameduck, options.upstreams) == (8080, 0.0, ("/etc/resolv.conf",))


def test_imports_are_followed(tmp_path: Path) -> None:
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "a.override").write_text("log\n")
    (tmp_path / "custom" / "b.server").write_text("corp.example:53 {\n  forward . 10.0.0.1 10.0.0.2:5353\n}\n")
    (tmp_path / "Corefile").write_text(K3S)
    options = read_corefile(tmp_path / "Corefile", DnsOptions())
    assert options.log_queries
    assert options.stub_domains == (("corp.example", ("10.0.0.1", "10.0.0.2:5353")),)


def test_stub_domains_in_either_form() -> None:
    options = parse(KUBEADM + "acme.local:53 {\n errors\n cache 30\n forward . 1.2.3.4\n}\n")
    assert options.stub_domains == (("acme.local", ("1.2.3.4",)),)
    options = parse(".:53 {\n forward acme.local 1.2.3.4\n forward . 8.8.8.8\n}\n")
    assert (options.stub_domains, options.upstreams) == ((("acme.local", ("1.2.3.4",)),), ("8.8.8.8",))


def test_what_is_left_out_is_off() -> None:
    options = parse(".:5353 {\n kubernetes k8s.example\n}\n")
    assert (options.port, options.domain, options.pods) == (5353, "k8s.example", "disabled")
    assert (options.health_port, options.ready_port, options.metrics_port, options.cache_size) == (0, 0, 0, 0)
    assert options.upstreams == ()


def test_entries_of_hosts_in_line() -> None:
    options = parse(".:53 {\n hosts {\n 10.0.0.1 a.example b.example\n fallthrough\n }\n}\n")
    assert options.hosts == HostsOptions(text="10.0.0.1 a.example b.example")


def test_rewrites_of_names() -> None:
    options = parse(
        ".:53 {\n rewrite name old.example new.default.svc.cluster.local\n"
        " rewrite stop name suffix .a.example .b.example answer auto\n"
        " rewrite stop {\n  name regex (.*)\\.x\\.example {1}.default.svc.cluster.local\n  answer name a b\n }\n}\n"
    )
    assert options.rewrites == (
        Rewrite("exact", "old.example.", "new.default.svc.cluster.local."),
        Rewrite("suffix", ".a.example.", ".b.example."),
        Rewrite("regex", "(.*)\\.x\\.example", "{1}.default.svc.cluster.local"),
    )


def test_comments_ports_and_addresses() -> None:
    options = parse("# all\n.:53 { # here\n bind 127.0.0.1 ::1\n health :9090\n prometheus 127.0.0.1:9100\n}\n")
    assert (options.bind, options.health_port, options.metrics_port) == ("127.0.0.1,::1", 9090, 9100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".:53 {\n errors\n dnssec\n}\n", "Corefile:3: dnssec: unknown directive"),
        (".:53 {\n autopath /etc/resolv.conf\n}\n", "Corefile:2: autopath: only @kubernetes"),
        (".:53 {\n kubernetes cluster.local {\n  namespaces a\n }\n}\n", "Corefile:3: namespaces: 'namespaces a'"),
        (".:53 {\n kubernetes cluster.local {\n  fallthrough\n }\n}\n", "Corefile:3: fallthrough: "),
        (".:53 {\n kubernetes\n}\n", "Corefile:2: kubernetes: exactly one zone"),
        (".:53 {\n forward .\n}\n", "Corefile:2: forward: FROM and at least one server"),
        (".:53 {\n forward . tls://9.9.9.9\n}\n", "Corefile:2: forward: tls://9.9.9.9: only plain DNS"),
        (".:53 {\n forward . 9.9.9.9 {\n  except a\n }\n}\n", "Corefile:3: except: "),
        (".:53 {\n health {\n  lameduck five\n }\n}\n", "Corefile:3: lameduck: 'five' is no duration"),
        (".:53 {\n rewrite type A AAAA\n}\n", "Corefile:2: rewrite: 'type A AAAA': only names"),
        (".:53 {\n prometheus here\n}\n", "Corefile:2: prometheus: 'here' has no port"),
        (".:53 {\n errors\n", "Corefile:1: .:53: its block is not closed"),
        (".:53 {\n}\n}\n", "Corefile:3: }: closes nothing"),
        ("errors\n", "Corefile:1: errors: a server block"),
        ("tls://.:853 {\n}\n", "Corefile:1: tls://.:853: only plain DNS"),
    ],
)
def test_what_cannot_be_followed_is_named_by_line_and_directive(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)
