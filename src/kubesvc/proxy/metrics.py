"""What the proxy counts and measures, under the names kube-proxy gave it."""

from kubesvc.observe import Registry

_SYNC_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_PROGRAMMING_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_FAILURES = {"nftables": "nftables_sync", "iptables": "iptables_restore"}


class ProxyMetrics:
    """One proxy's registry; families are told apart by the label `ip_family`."""

    def __init__(self, mode: str) -> None:
        self.registry = Registry()
        family = ("ip_family",)
        histogram, counter, gauge = self.registry.histogram, self.registry.counter, self.registry.gauge
        self.sync_duration = histogram(
            "kubeproxy_sync_proxy_rules_duration_seconds", "Time from dirty to in force.", family, _SYNC_BUCKETS
        )
        self.full_sync_duration = histogram(
            "kubeproxy_sync_full_proxy_rules_duration_seconds", "The same, of full syncs.", family, _SYNC_BUCKETS
        )
        self.partial_sync_duration = histogram(
            "kubeproxy_sync_partial_proxy_rules_duration_seconds", "The same, of changes.", family, _SYNC_BUCKETS
        )
        self.network_programming = histogram(
            "kubeproxy_network_programming_duration_seconds",
            "Time from an endpoint's change to the rules that follow from it.",
            family,
            _PROGRAMMING_BUCKETS,
        )
        self.last_sync = gauge(
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds", "When rules were last synced.", family
        )
        self.last_queued = gauge(
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "When a sync was last asked for.", family
        )
        self.service_changes = counter(
            "kubeproxy_sync_proxy_rules_service_changes_total", "Changes of Services seen.", family
        )
        self.endpoint_changes = counter(
            "kubeproxy_sync_proxy_rules_endpoint_changes_total", "Changes of EndpointSlices seen.", family
        )
        self.no_local_endpoints = gauge(
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
            "Service ports of a Local policy without an endpoint here.",
            ("ip_family", "traffic_policy"),
        )
        self.sync_failures = counter(
            f"kubeproxy_sync_proxy_rules_{_FAILURES[mode]}_failures_total", "Syncs that were refused.", family
        )
        self.conntrack_deleted = counter(
            "kubeproxy_conntrack_reconciler_deleted_entries_total", "Stale flows deleted.", family
        )
        self.healthz = counter("kubeproxy_proxy_healthz_total", "Answers of /healthz.", ("code",))
        self.livez = counter("kubeproxy_proxy_livez_total", "Answers of /livez.", ("code",))
        self.writes = counter("kubesvc_proxy_kernel_writes_total", "Kernel objects written or deleted.", family)
        self.refused = gauge("kubesvc_proxy_refused_ports", "Service ports left out of the rules.", family)
        self.repairs = counter("kubesvc_proxy_repairs_total", "Times somebody else's change was undone.", family)
        self.synced_version = gauge(
            "kubesvc_proxy_synced_resource_version", "The newest API revision that is in force.", ("resource",)
        )
