"""Flags and KubeProxyConfiguration files -> options."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from kubesvc.proxy.checks import checked
from kubesvc.proxy.config import ConfigError, options_from_document, parse_duration
from kubesvc.proxy.flags import add_arguments, options_from
from kubesvc.proxy.options import LocalDetector, Mode, ProxyOptions

BASE = ProxyOptions(None, "node-a")
HEAD = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}

KUBEADM = """
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.20.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: 2h0m0s
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: worker-1
iptables:
  localhostNodePorts: false
  masqueradeAll: true
  masqueradeBit: 15
  minSyncPeriod: 0s
  syncPeriod: 45s
ipvs:
  excludeCIDRs: null
  scheduler: ""
logging:
  flushFrequency: 0
metricsBindAddress: 0.0.0.0
mode: iptables
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
"""


def parse(*flags: str) -> ProxyOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_from(parser.parse_args(flags))


def test_a_file_of_kubeadm_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "config.conf"
    path.write_text(KUBEADM)

    options = parse("--config", str(path))

    assert options.mode is Mode.IPTABLES
    assert options.kubeconfig == Path("/var/lib/kube-proxy/kubeconfig.conf")
    assert (options.node_name, options.cluster_cidr) == ("worker-1", "10.20.0.0/16")
    assert (options.masquerade_all, options.masquerade_bit, options.localhost_nodeports) == (True, 15, False)
    assert (options.sync_period, options.min_sync_period) == (45.0, 0.0)
    assert (options.healthz_bind, options.metrics_bind) == ("0.0.0.0:10256", "0.0.0.0:10249")
    assert (options.tcp_established_seconds, options.tcp_close_wait_seconds) == (7200, 3600)
    assert options.warnings == ("node ports answer on every local address; --nodeport-addresses=primary is safer",)


def test_the_rules_of_the_chosen_mode_count() -> None:
    document = {**HEAD, "mode": "nftables", "nftables": {"masqueradeBit": 3}, "iptables": {"masqueradeBit": 4}}

    assert options_from_document(document, BASE).masquerade_bit == 3


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ({"mode": "ipvs"}, "mode: 'ipvs' is not supported (supported: nftables, iptables)"),
        ({"clusterCIDR": "10.1.0.0"}, "cluster CIDR: '10.1.0.0' is not a CIDR such as 10.1.0.0/16"),
        ({"nodePortAddresses": ["first"]}, "node port addresses: 'first' is not a CIDR such as 10.1.0.0/16"),
        ({"bindAddress": "here"}, "bind address: 'here' is not an address"),
        ({"healthzBindAddress": "localhost:1"}, "bind address: 'localhost:1' is not ADDRESS:PORT"),
        ({"metricsBindAddress": "[::]:0"}, "bind address: '[::]:0' is not ADDRESS:PORT"),
        ({"oomScoreAdj": -2000}, "oom-score-adj: -2000 is not between -1000 and 1000"),
        ({"nftables": {"minSyncPeriod": "40s"}}, "sync period: 30 s is less than the least, 40 s"),
        ({"detectLocalMode": "BridgeInterface"}, "detect-local mode BridgeInterface needs the name"),
        ({"mode": 3}, "configuration: Expected `str`, got `int` - at `$.mode`"),
        ({"iptables": {"masqueradeBit": 40}, "mode": "iptables"}, "iptables.masqueradeBit: 40 is not between 0 and 31"),
        ({"nftables": {"syncPeriod": "soon"}}, "nftables.syncPeriod: 'soon' is not a duration such as 30s or 1h0m0s"),
        ({"kind": "Service"}, "configuration: expected kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration, "),
        ({"detectLocalMode": "Guess"}, "detectLocalMode: 'Guess' is not supported"),
    ],
)
def test_what_cannot_be_is_named(field: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        checked(options_from_document({**HEAD, **field}, BASE))

    assert str(refused.value).startswith(sentence)


def test_what_has_no_effect_is_said() -> None:
    document = {
        **HEAD,
        "moed": "iptables",
        "iptables": {"snatNodeInternalIP": True},
        "featureGates": {"Some": True},
        "ipvs": {"scheduler": "sh"},
        "winkernel": {"enableDSR": False},
        "logging": {"format": "json"},
        "configSyncPeriod": "15m0s",
        "clientConnection": {"qps": 50, "burst": None},
    }

    said = options_from_document(document, BASE).warnings

    assert [warning.removeprefix("configuration: ") for warning in said] == [
        "moed is not a field of KubeProxyConfiguration, and left out",
        "iptables.snatNodeInternalIP is not a field of KubeProxyConfiguration, and left out",
        "featureGates.Some: true has no effect here",
        "clientConnection.qps has no effect here",
        "configSyncPeriod has no effect here",
        "logging has no effect here",
        "ipvs has no effect here",
    ]


def test_null_says_nothing() -> None:
    fields = ("mode", "iptables", "nftables", "conntrack", "detectLocal", "clusterCIDR", "clientConnection", "ipvs")

    assert options_from_document(HEAD | dict.fromkeys(fields), BASE) == BASE


def test_conntrack_and_process_fields_are_taken() -> None:
    conntrack = {"udpTimeout": "10s", "udpStreamTimeout": "2m0s", "maxPerCore": 0, "min": 7, "tcpBeLiberal": True}
    document = {**HEAD, "conntrack": conntrack, "oomScoreAdj": -998, "bindAddressHardFail": True}

    options = options_from_document(document, BASE)

    assert (options.udp_seconds, options.udp_stream_seconds, options.tcp_be_liberal) == (10, 120, True)
    assert (options.conntrack_max_per_core, options.conntrack_min) == (0, 7)
    assert (options.oom_score_adj, options.bind_hard_fail) == (-998, True)


def test_a_bind_address_of_ipv6_moves_the_servers_that_nobody_placed() -> None:
    document = {**HEAD, "bindAddress": "::", "metricsBindAddress": "192.0.2.1"}

    options = checked(options_from_document(document, BASE))

    assert (options.healthz_bind, options.metrics_bind) == ("[::]:10256", "192.0.2.1:10249")


def test_what_may_surprise_is_said() -> None:
    flags = ("--proxy-mode=iptables", "--nodeport-addresses=192.0.2.0/24")

    assert parse(*flags).warnings == (
        "no cluster CIDR is given: no source is taken for a pod, and none is masqueraded at cluster addresses",
        "--nodeport-addresses has no IPv6 range: IPv6 node ports answer on every local address",
    )


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError) as refused:
        parse("--config", "/nowhere/config.conf")
    assert str(refused.value) == "--config /nowhere/config.conf: No such file or directory"


def test_the_file_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.conf"
    file.write_text("{apiVersion: kubeproxy.config.k8s.io/v1alpha1, kind: KubeProxyConfiguration, mode: nftabels}")
    with pytest.raises(ConfigError) as refused:
        parse("--config", str(file))
    assert str(refused.value) == f"--config {file}: mode: 'nftabels' is not supported (supported: nftables, iptables)"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30.0), ("1h0m0s", 3600.0), ("250ms", 0.25), ("0", 0.0), ("1x", None), ("", None)]
)
def test_durations(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


def test_flags() -> None:
    options = parse(
        "--proxy-mode=iptables", "--cluster-cidr=10.1.0.0/16,fd00::/48", "--nodeport-addresses=10.0.0.0/8, primary",
        "--detect-local-mode=BridgeInterface", "--pod-bridge-interface=cni0", "--iptables-localhost-nodeports=false",
    )  # fmt: skip

    assert options.mode is Mode.IPTABLES
    assert options.nodeport_addresses == ("10.0.0.0/8", "primary")
    assert (options.detect_local, options.pod_bridge) == (LocalDetector.BRIDGE_INTERFACE, "cni0")
    assert not options.localhost_nodeports
