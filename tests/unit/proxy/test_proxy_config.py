"""Flags and KubeProxyConfiguration files -> options."""

import argparse
from pathlib import Path
from typing import Any

import pytest

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


def test_the_rules_of_the_chosen_mode_count() -> None:
    document = {**HEAD, "mode": "nftables", "nftables": {"masqueradeBit": 3}, "iptables": {"masqueradeBit": 4}}

    assert options_from_document(document, BASE).masquerade_bit == 3


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ({"mode": "ipvs"}, "mode: 'ipvs' is not supported (supported: nftables, iptables)"),
        ({"moed": "iptables"}, "configuration: Object contains unknown field `moed`"),
        ({"iptables": {"masqueradeBit": 40}, "mode": "iptables"}, "iptables.masqueradeBit: 40 is not between 0 and 31"),
        ({"nftables": {"syncPeriod": "soon"}}, "nftables.syncPeriod: 'soon' is not a duration such as 30s or 1h0m0s"),
        ({"kind": "Service"}, "configuration: expected kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration, "),
        ({"detectLocalMode": "Guess"}, "detectLocalMode: 'Guess' is not supported"),
    ],
)
def test_what_cannot_be_is_named(field: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        options_from_document({**HEAD, **field}, BASE)

    assert str(refused.value).startswith(sentence)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"/nowhere/config\.conf"):
        parse("--config", "/nowhere/config.conf")


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30.0), ("1h0m0s", 3600.0), ("250ms", 0.25), ("0", 0.0), ("1x", None), ("", None)]
)
def test_durations(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


def test_flags() -> None:
    options = parse(
        "--proxy-mode=iptables", "--cluster-cidr=10.1.0.0/16,fd00::/48", "--nodeport-addresses=10.0.0.0/8, primary",
        "--detect-local-mode=BridgeInterface", "--pod-bridge-interface=cni0", "--no-iptables-localhost-nodeports",
    )  # fmt: skip

    assert options.mode is Mode.IPTABLES
    assert options.nodeport_addresses == ("10.0.0.0/8", "primary")
    assert (options.detect_local, options.pod_bridge) == (LocalDetector.BRIDGE_INTERFACE, "cni0")
    assert not options.localhost_nodeports
