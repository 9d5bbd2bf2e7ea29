"""kube-proxy's command lines work here."""

import argparse
from pathlib import Path

import pytest

from kubesvc.proxy.flags import add_arguments, options_from
from kubesvc.proxy.options import Mode, ProxyOptions
from kubesvc.proxy.run import access_of

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: one
clusters: [{name: one, cluster: {server: "https://192.0.2.1:6443"}}]
contexts: [{name: one, context: {cluster: one, user: one}}]
users: [{name: one, user: {token: secret}}]
"""


def parse(*flags: str) -> ProxyOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_from(parser.parse_args(flags))


def test_without_flags_the_defaults_hold() -> None:
    assert parse("--hostname-override", "node-a") == ProxyOptions(None, "node-a")


def test_conntrack_flags_are_taken() -> None:
    options = parse(
        "--conntrack-max-per-core=0",
        "--conntrack-min=1000",
        "--conntrack-tcp-timeout-established=2h0m0s",
        "--conntrack-tcp-timeout-close-wait=90s",
        "--conntrack-tcp-be-liberal",
    )
    assert (options.conntrack_max_per_core, options.conntrack_min) == (0, 1000)
    assert (options.tcp_established_seconds, options.tcp_close_wait_seconds) == (7200, 90)
    assert options.tcp_be_liberal


def test_periods_of_the_chosen_mode_count() -> None:
    flags = ("--iptables-sync-period=45s", "--iptables-min-sync-period=1s")
    assert parse("--proxy-mode=iptables", *flags).sync_period == 45
    assert parse("--proxy-mode=iptables", *flags).min_sync_period == 1
    assert parse("--proxy-mode=nftables", *flags).sync_period == 30
    assert parse("--min-sync-period=500ms", "--sync-period=10").min_sync_period == 0.5


@pytest.mark.parametrize(("text", "meant"), [("--cleanup", True), ("--cleanup=true", True), ("--cleanup=false", False)])
def test_switches_are_written_as_go_programs_take_them(text: str, meant: bool) -> None:
    assert parse(text).cleanup is meant


def test_flags_without_effect_are_taken() -> None:
    flags = (
        "--feature-gates=A=true",
        "--kube-api-qps=50",
        "--profiling",
        "--ipvs-scheduler=rr",
        "--ipvs-strict-arp=false",
    )
    options = parse("--hostname-override=a", "--cluster-cidr=10.0.0.0/8", *flags)

    assert options == parse("--hostname-override=a", "--cluster-cidr=10.0.0.0/8")
    assert options.warnings == tuple(
        f"{name} has no effect here"
        for name in ("--feature-gates", "--ipvs-scheduler", "--kube-api-qps", "--profiling")
    )


def test_the_command_line_of_k3s_is_understood() -> None:
    options = parse(
        "--cluster-cidr=10.42.0.0/16",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-close-wait=0s",
        "--conntrack-tcp-timeout-established=0s",
        "--healthz-bind-address=127.0.0.1",
        "--hostname-override=Server-0",
        "--kubeconfig=/var/lib/rancher/k3s/agent/kubeproxy.kubeconfig",
        "--proxy-mode=iptables",
    )

    assert (options.mode, options.node_name, options.cluster_cidr) == (Mode.IPTABLES, "server-0", "10.42.0.0/16")
    assert (options.healthz_bind, options.metrics_bind) == ("127.0.0.1:10256", "127.0.0.1:10249")
    assert (options.conntrack_max_per_core, options.tcp_established_seconds, options.tcp_close_wait_seconds) == (
        0,
        0,
        0,
    )


def test_processes_servers_and_udp() -> None:
    options = parse(
        "--oom-score-adj=-999", "--bind-address=::", "--bind-address-hard-fail", "--healthz-port=0",
        "--metrics-port=9", "--conntrack-udp-timeout=10s", "--conntrack-udp-timeout-stream=2m",
        "--nodeport-addresses=primary", "--nodeport-addresses=10.0.0.0/8,localhost",
    )  # fmt: skip

    assert (options.oom_score_adj, options.bind_address, options.bind_hard_fail) == (-999, "::", True)
    assert (options.healthz_bind, options.metrics_bind) == ("", "127.0.0.1:9")
    assert (options.udp_seconds, options.udp_stream_seconds) == (10, 120)
    assert options.nodeport_addresses == ("primary", "10.0.0.0/8", "localhost")


@pytest.mark.parametrize("flag", ["--iptables-sync-period=soon", "--cleanup=perhaps"])
def test_nonsense_is_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(flag)
    assert flag.partition("=")[2] in capsys.readouterr().err


def test_the_name_given_by_flag_is_above_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1, kind: KubeProxyConfiguration"
    path.write_text(f"{{{head}, hostnameOverride: x, mode: iptables}}")
    options = parse("--config", str(path), "--hostname-override", "node-a")
    assert (options.node_name, options.mode) == ("node-a", Mode.IPTABLES)


def test_master_overrides_the_kubeconfig(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    access = access_of(parse("--kubeconfig", str(path), "--master", "https://192.0.2.7:6443/"))
    assert (access.server, access.token) == ("https://192.0.2.7:6443", "secret")
    assert access_of(parse("--master", "http://127.0.0.1:8080")).server == "http://127.0.0.1:8080"
