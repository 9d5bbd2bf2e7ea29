"""Corefiles as kubeadm, kind and k3s ship them, and the errors of those that cannot be followed."""

from pathlib import Path

import pytest

from kubesvc.dns.corefile import CorefileError, parse_corefile, read_corefile
from kubesvc.dns.options import DnsOptions, HostsOptions
from kubesvc.dns.rewrite import Rewrite
from kubesvc.dns.tuning import CacheTuning, ForwardTuning

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
        ttl=30,
        pods="insecure",
        upstreams=("/etc/resolv.conf",),
        lameduck=5.0,
        cache_ttl=30,
        reload=30.0,
        reload_jitter=15.0,
        forward=((".", ForwardTuning(max_concurrent=1000)),),
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


TUNED = """
.:53 {
    forward corp.example 10.0.0.1 {
        force_tcp
        expire 10s
    }
    forward . 10.0.0.2 {
        max_fails 0
        health_check 5s no_rec domain probe.example
        max_concurrent 100
        except a.example b.example.
        prefer_udp
        failover NXDOMAIN
    }
    cache 300 {
        success 500 60 10
        denial 100 20
        prefetch 5 1m 20%
        serve_stale 30m
        servfail 1s
        keepttl
        disable success other.example
    }
}
"""


def test_words_that_tune_cache_and_upstreams_and_words_that_have_no_effect() -> None:
    warnings: list[tuple[str, str]] = []
    options = parse_corefile(TUNED, DnsOptions(), warn=lambda place, reason: warnings.append((place, reason)))
    assert options.forward == (
        ("corp.example", ForwardTuning(force_tcp=True)),
        (
            ".",
            ForwardTuning(
                max_fails=0,
                probe=5.0,
                probe_name="probe.example",
                max_concurrent=100,
                excepted=("a.example", "b.example"),
            ),
        ),
    )
    assert (options.cache_size, options.cache_ttl) == (500, 60)
    assert options.cache == CacheTuning(
        denial_size=100, denial_ttl=20, popular=5, prefetch_share=0.2, stale=1800.0, stale_at_once=True,
        failure_ttl=1.0, keep_ttl=True,
    )  # fmt: skip
    assert [place for place, _ in warnings] == [
        "Corefile:5: expire",
        "Corefile:9: health_check",
        "Corefile:13: failover",
        "Corefile:16: success",
        "Corefile:18: prefetch",
        "Corefile:22: disable",
    ]
    assert all(reason for _, reason in warnings)


def test_the_cache_can_be_switched_off_for_one_kind() -> None:
    options = parse(".:53 {\n cache {\n  disable success\n }\n}\n")
    assert (options.cache_size, options.cache.denial_size) == (0, 9984)
    options = parse(".:53 {\n cache {\n  disable denial\n }\n}\n")
    assert (options.cache_size, options.cache.denial_size) == (9984, 0)


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
        (".:53 {\n forward . 9.9.9.9 {\n  except\n }\n}\n", "Corefile:3: except: "),
        (".:53 {\n forward . 9.9.9.9 {\n  tls\n }\n}\n", "Corefile:3: tls: "),
        (".:53 {\n forward . 9.9.9.9 {\n  health_check often\n }\n}\n", "Corefile:3: health_check: 'often' is no"),
        (".:53 {\n cache {\n  serve_stale long\n }\n}\n", "Corefile:3: serve_stale: 'long' is no duration"),
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
