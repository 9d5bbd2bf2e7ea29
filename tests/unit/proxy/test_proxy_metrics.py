"""What the proxy says about itself in numbers, and the configuration it shows."""

from pathlib import Path

from tests.unit.proxy.test_proxier import World

from kubesvc.observe import Counter, Gauge, Histogram
from kubesvc.proxy.backend import SyncReport
from kubesvc.proxy.configz import configz
from kubesvc.proxy.metrics import ProxyMetrics
from kubesvc.proxy.options import Mode, ProxyOptions
from kubesvc.testing.builders import endpoint_slice, service

COMMON = (
    "sync_proxy_rules_duration_seconds",
    "sync_full_proxy_rules_duration_seconds",
    "sync_partial_proxy_rules_duration_seconds",
    "network_programming_duration_seconds",
    "sync_proxy_rules_last_timestamp_seconds",
    "sync_proxy_rules_last_queued_timestamp_seconds",
    "sync_proxy_rules_endpoint_changes_pending",
    "sync_proxy_rules_endpoint_changes_total",
    "sync_proxy_rules_service_changes_pending",
    "sync_proxy_rules_service_changes_total",
    "sync_proxy_rules_no_local_endpoints_total",
    "proxy_healthz_total",
    "proxy_livez_total",
    "conntrack_reconciler_sync_duration_seconds",
    "conntrack_reconciler_deleted_entries_total",
)
BY_MODE = {
    "nftables": (
        "sync_proxy_rules_nftables_sync_failures_total",
        "sync_proxy_rules_nftables_cleanup_failures_total",
    ),
    "iptables": (
        "sync_proxy_rules_iptables_total",
        "sync_proxy_rules_iptables_last",
        "sync_proxy_rules_iptables_restore_failures_total",
        "sync_proxy_rules_iptables_partial_restore_failures_total",
    ),
}


def test_the_metrics_are_those_of_kube_proxy() -> None:
    for mode, own in BY_MODE.items():
        rendered = ProxyMetrics(mode).registry.render().decode()
        missing = [name for name in (*COMMON, *own) if f"# TYPE kubeproxy_{name} " not in rendered]
        assert missing == []


LABELS = {
    "sync_proxy_rules_no_local_endpoints_total": ("ip_family", "traffic_policy"),
    "sync_proxy_rules_iptables_total": ("table", "ip_family"),
    "sync_proxy_rules_iptables_last": ("table", "ip_family"),
    "proxy_healthz_total": ("code",),
    "proxy_livez_total": ("code",),
    **dict.fromkeys((name for name in COMMON if "_changes_" in name), ()),
}


def test_the_labels_are_those_of_kube_proxy() -> None:
    for mode, own in BY_MODE.items():
        metrics = [each for each in vars(ProxyMetrics(mode)).values() if isinstance(each, Counter | Gauge | Histogram)]
        labels = {metric.name: metric.labels for metric in metrics}
        for name in (*COMMON, *own):
            assert labels[f"kubeproxy_{name}"] == LABELS.get(name, ("ip_family",)), name


async def test_changes_wait_until_they_are_in_force() -> None:
    world = World()
    world.api.put(service("web"))
    async with world.running():
        await world.proxier.first_sync.wait()
        world.backend.broken = True
        world.api.put(endpoint_slice("web", "10.1.2.3@b"))
        world.api.put(service("other", cluster_ip="10.96.0.2"))
        await world.until(lambda: pending(world) == {"service": 1, "endpoint": 1})
        world.backend.broken = False
        await world.until(lambda: pending(world) == {"service": 0, "endpoint": 0})


def pending(world: World) -> dict[str, int]:
    world.proxier.note_pending()
    lines = world.metrics.registry.render().decode().splitlines()
    found = {}
    for kind in ("service", "endpoint"):
        line = next(line for line in lines if line.startswith(f"kubeproxy_sync_proxy_rules_{kind}_changes_pending "))
        found[kind] = int(line.split()[-1])
    return found


def test_iptables_rules_are_counted_by_table() -> None:
    metrics = ProxyMetrics("iptables")

    metrics.synced(
        "IPv4",
        0.1,
        SyncReport(rules_total={"nat": 120}, rules_last={"nat": 7}, partial_failed=True),
        full=False,
    )

    rendered = metrics.registry.render().decode()
    assert 'kubeproxy_sync_proxy_rules_iptables_total{table="nat",ip_family="IPv4"} 120' in rendered
    assert 'kubeproxy_sync_proxy_rules_iptables_last{table="nat",ip_family="IPv4"} 7' in rendered
    assert 'iptables_partial_restore_failures_total{ip_family="IPv4"} 1' in rendered


def test_the_configuration_is_shown_as_kube_proxy_shows_its_own() -> None:
    shown = configz(
        ProxyOptions(Path("/etc/k"), "node-a", mode=Mode.IPTABLES, cluster_cidr="10.244.0.0/16", sync_period=0.25)
    )

    found = shown["kubeproxy.config.k8s.io"]
    assert isinstance(found, dict)
    assert found["Mode"] == "iptables"
    assert found["ClientConnection"] == {"Kubeconfig": "/etc/k"}
    assert found["DetectLocal"]["ClusterCIDRs"] == ["10.244.0.0/16"]
    assert found["SyncPeriod"] == "250ms"
    assert found["Linux"]["Conntrack"]["TCPEstablishedTimeout"] == "24h0m0s"
