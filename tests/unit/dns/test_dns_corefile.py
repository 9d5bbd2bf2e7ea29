"""Corefiles as kubeadm, kind and k3s ship them, and the errors of those that cannot be followed."""

from pathlib import Path

import pytest

from kubesvc.dns import wire
from kubesvc.dns.corefile import CorefileError, parse_corefile, read_corefile
from kubesvc.dns.options import DnsOptions, HostsOptions
from kubesvc.dns.rewrite import Rewrite, rewritten
from kubesvc.dns.tuning import NO_CACHE, CacheTuning, ForwardTuning
from kubesvc.dns.wire import Rcode

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


CACHED = CacheTuning(ttl=30, unkept=("cluster.local",), denial_unkept=("cluster.local",))


def parse(text: str) -> DnsOptions:
    return parse_corefile(text, DnsOptions())


def test_kubeadms_file() -> None:
    options = parse(KUBEADM)
    assert options == DnsOptions(
        ttl=30,
        pods="insecure",
        upstreams=("/etc/resolv.conf",),
        lameduck=5.0,
        cache=CACHED,
        caches=((".", CACHED),),
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
    assert (options.health_port, options.ready_port, options.metrics_port, options.cache) == (0, 0, 0, NO_CACHE)
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


def test_patterns_keep_their_case_and_rules_can_go_on() -> None:
    options = parse(
        ".:53 {\n rewrite continue name regex ^(\\S+)\\.Old\\.example\\.$ {1}.mid.example\n"
        " rewrite name suffix .mid.example .new.example\n}\n"
    )
    assert wire.name_to_text(rewritten(options.rewrites, wire.name_from_text("a.old.example"))) == "a.new.example."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".:99999 {\n errors\n}", "1: .:99999: '99999' is no port"),
        (".:0 {\n errors\n}", "1: .:0: '0' is no port"),
        (".:53 {\n kubernetes a..b\n}", "2: kubernetes: b'a..b': a label has 1 to 63 bytes"),
        (".:53 {\n kubernetes a {\n  ttl ²\n }\n}", "2: kubernetes: '²' is no number"),
        (".:53 {\n hosts {\n  ttl 99999999999\n }\n}", "2: hosts: 99999999999 is more than 2147483647"),
        (".:53 {\n forward . 10.0.0.1 {\n  max_concurrent " + 23 * "9" + "\n }\n}", "is more than 2147483647"),
        (".:53 {\n cache " + 23 * "9" + "\n}", "is more than 2147483647"),
        (".:53 {\n health {\n  lameduck " + 30 * "9" + "s\n }\n}", "is longer than ten years"),
        (".:53 {\n bind eth0\n}", "2: bind: 'eth0' does not appear to be an IPv4 or IPv6 address"),
        (".:53 {\n rewrite name regex (a b\n}", "2: rewrite: '(a' is no pattern"),
        (".:53 {\n rewrite name regex (a) {2}.b\n}", "2: rewrite: '{2}.b' asks for more groups than '(a)' has"),
        (2000 * "a {\n", "9: a: 8 blocks within one another"),
    ],
)
def test_values_that_nothing_could_be_done_with_are_refused_where_they_stand(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as refused:
        parse(text)
    assert message in str(refused.value)


def test_comments_ports_and_addresses() -> None:
    options = parse("# all\n.:53 { # here\n bind 127.0.0.1 ::1\n health :9090\n prometheus 127.0.0.1:9100\n}\n")
    assert (options.bind, options.health_port, options.metrics_port) == ("127.0.0.1,::1", 9090, 9100)


TUNED = """
corp.example:53 {
    forward . 10.0.0.1 10.0.0.4 {
        force_tcp
        expire 20s
        max_idle_conns 5
        policy sequential
        failover NXDOMAIN servfail
    }
}
.:53 {
    forward . 10.0.0.2 {
        max_fails 0
        health_check 1m30s no_rec domain probe.example
        max_concurrent 100
        max_connect_attempts 1
        except a.example b.example. 10.1.0.0/16
        prefer_udp
        policy round_robin
        failfast_all_unhealthy_upstreams
    }
    cache 300 example {
        success 500 60 10
        denial 100 20 5
        prefetch 5 2m 20%
        serve_stale 30m verify
        servfail 1s
        keepttl
        disable success other.example
        disable denial
    }
}
"""


def test_words_that_tune_cache_and_upstreams() -> None:
    warnings: list[tuple[str, str]] = []
    options = parse_corefile(TUNED, DnsOptions(), warn=lambda place, reason: warnings.append((place, reason)))
    assert dict(options.forward) == {
        "corp.example": ForwardTuning(
            force_tcp=True, expire=20.0, max_idle=5, policy="sequential",
            failover=(Rcode.NXDOMAIN, Rcode.SERVFAIL),
        ),
        ".": ForwardTuning(
            max_fails=0, probe=90.0, probe_name="probe.example", probe_recursive=False, max_concurrent=100, tries=1,
            excepted=("a.example", "b.example", "1.10.in-addr.arpa"), policy="round_robin", give_up=True,
        ),
    }  # fmt: skip
    tuned = CacheTuning(
        zones=("example",), size=500, ttl=60, least=10, denial_size=100, denial_ttl=20, denial_least=5, popular=5,
        gap=120.0, prefetch_share=0.2, stale=1800.0, stale_at_once=False, failure_ttl=1.0, keep_ttl=True,
        unkept=("other.example",), denial_unkept=(".",),
    )  # fmt: skip
    assert dict(options.caches) == {"corp.example": NO_CACHE, ".": tuned}
    assert warnings == []


def test_a_cache_is_for_what_its_block_forwards() -> None:
    options = parse("a.example b.example {\n forward . 10.0.0.1\n cache 7\n}\n. {\n forward c.example 10.0.0.2\n}\n")
    seven = CacheTuning(ttl=7)
    assert dict(options.caches) == {"a.example": seven, "b.example": seven, "c.example": NO_CACHE}
    assert options.cache == NO_CACHE


def test_of_two_forwards_for_the_same_names_the_first_counts() -> None:
    warnings: list[tuple[str, str]] = []
    text = ".:53 {\n forward . 10.0.0.1\n forward . 10.0.0.2\n}\n"
    options = parse_corefile(text, DnsOptions(), warn=lambda place, reason: warnings.append((place, reason)))
    assert options.upstreams == ("10.0.0.1",)
    assert [place for place, _ in warnings] == ["Corefile:3: forward"]


def test_reverse_zones_can_be_written_as_networks() -> None:
    options = parse(".:53 {\n forward 10.0.0.0/8 10.0.0.1\n forward fd00:1::/32 10.0.0.2\n}\n")
    assert [zone for zone, _ in options.stub_domains] == ["10.in-addr.arpa", "1.0.0.0.0.0.d.f.ip6.arpa"]


def test_reloads_are_spread_over_time() -> None:
    times = {}
    for text in ("reload", "reload 10s", "reload 60s 20s", "reload 10s 0s"):
        options = parse(f". {{\n {text}\n}}\n")
        times[text] = options.reload, options.reload_jitter
    assert times == {
        "reload": (30.0, 15.0), "reload 10s": (10.0, 5.0), "reload 60s 20s": (60.0, 20.0), "reload 10s 0s": (10.0, 0.0),
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted((Path(__file__).parent / "data" / "corefiles").iterdir()), ids=lambda p: p.name)
def test_files_that_distributions_ship_are_followed_whole(path: Path) -> None:
    def refuse_warnings(place: str, reason: str) -> None:
        raise AssertionError(f"{place}: {reason}")

    options = read_corefile(path, DnsOptions(), warn=refuse_warnings)
    assert (options.domain, options.pods, options.port) == ("cluster.local", "insecure", 53)
    assert options.upstreams == ("/etc/resolv.conf",)


def test_what_an_import_says_wrong_is_named_by_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "a.override").write_text("log\ndnssec\n")
    (tmp_path / "Corefile").write_text(".:53 {\n import custom/*.override\n}\n")
    with pytest.raises(CorefileError, match=r"custom/a\.override:2: dnssec: unknown directive"):
        read_corefile(tmp_path / "Corefile", DnsOptions())
    (tmp_path / "custom" / "a.override").write_text("import custom/*.override\n")
    with pytest.raises(CorefileError, match=r"a\.override:1: import: 8 files within one another"):
        read_corefile(tmp_path / "Corefile", DnsOptions())


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
        (".:53 {\n forward . 9.9.9.9 {\n  next NXDOMAIN\n }\n}\n", "Corefile:3: next: "),
        (".:53 {\n forward . 9.9.9.9 {\n  policy best\n }\n}\n", "Corefile:3: policy: 'policy best'"),
        (".:53 {\n forward . 9.9.9.9 {\n  expire never\n }\n}\n", "Corefile:3: expire: 'never' is no duration"),
        (".:53 {\n forward . 9.9.9.9 {\n  failover NOERROR\n }\n}\n", "Corefile:3: failover: 'NOERROR' is no"),
        (".:53 {\n forward . 9.9.9.9 {\n  max_concurrent many\n }\n}\n", "Corefile:3: max_concurrent: 'many' is no"),
        (".:53 {\n forward . 9.9.9.9 {\n  health_check 1s rec\n }\n}\n", "Corefile:3: health_check: 'rec' in a"),
        (".:53 {\n forward . dns.example\n}\n", "Corefile:2: forward: upstream 'dns.example': 'dns.example' is no"),
        (".:53 {\n forward 10.0.0.0/9 9.9.9.9\n}\n", "Corefile:2: forward: 10.0.0.0/9: a network whose length"),
        (".:53 {\n forward ." + " 9.9.9.9" * 16 + "\n}\n", "Corefile:2: forward: 15 servers at most, 16"),
        (".:53 {\n cache 0\n}\n", "Corefile:2: cache: the longest time cannot be 0"),
        (".:53 {\n cache {\n  success many\n }\n}\n", "Corefile:3: success: 'many' is no number"),
        (".:53 {\n cache {\n  denial 9 0\n }\n}\n", "Corefile:3: denial: the longest time cannot be 0"),
        (".:53 {\n cache {\n  prefetch 5 1m 95%\n }\n}\n", "Corefile:3: prefetch: '95%' is no share"),
        (".:53 {\n cache {\n  prefetch 5 1m 20\n }\n}\n", "Corefile:3: prefetch: '20' is no share"),
        (".:53 {\n cache {\n  servfail 6m\n }\n}\n", "Corefile:3: servfail: 6m: failures"),
        (".:53 {\n cache {\n  serve_stale 1h later\n }\n}\n", "Corefile:3: serve_stale: 'serve_stale 1h later'"),
        (".:53 {\n forward . 9.9.9.9 {\n  health_check often\n }\n}\n", "Corefile:3: health_check: 'often' is no"),
        (".:53 {\n cache {\n  serve_stale long\n }\n}\n", "Corefile:3: serve_stale: 'long' is no duration"),
        (".:53 {\n health {\n  lameduck five\n }\n}\n", "Corefile:3: lameduck: 'five' is no duration"),
        (".:53 {\n rewrite type A AAAA\n}\n", "Corefile:2: rewrite: 'type A AAAA': only names"),
        (".:53 {\n prometheus here\n}\n", "Corefile:2: prometheus: 'here' is no port"),
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
