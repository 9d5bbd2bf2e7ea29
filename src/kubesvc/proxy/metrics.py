"""What the proxy counts and measures, under the names kube-proxy gave it."""

from collections.abc import Mapping

from kubesvc.observe import Registry
from kubesvc.proxy.backend import SyncReport
from kubesvc.proxy.iptables.names import destination
from kubesvc.proxy.model import ServicePortName, Target
from kubesvc.proxy.traffic import EndpointBytes, ServiceBytes

_SYNC_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_PROGRAMMING_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_FAILURES = {"nftables": "nftables_sync", "iptables": "iptables_restore"}
_OTHER_FAILURES = {"nftables": "nftables_cleanup", "iptables": "iptables_partial_restore"}


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
        self.service_changes = counter("kubeproxy_sync_proxy_rules_service_changes_total", "Changes of Services seen.")
        self.endpoint_changes = counter(
            "kubeproxy_sync_proxy_rules_endpoint_changes_total", "Changes of EndpointSlices seen."
        )
        self.service_pending = gauge(
            "kubeproxy_sync_proxy_rules_service_changes_pending", "Changes of Services not yet in force."
        )
        self.endpoint_pending = gauge(
            "kubeproxy_sync_proxy_rules_endpoint_changes_pending", "Changes of EndpointSlices not yet in force."
        )
        self.no_local_endpoints = gauge(
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
            "Service ports of a Local policy without an endpoint here.",
            ("ip_family", "traffic_policy"),
        )
        self.sync_failures = counter(
            f"kubeproxy_sync_proxy_rules_{_FAILURES[mode]}_failures_total", "Syncs that were refused.", family
        )
        self.other_failures = counter(
            f"kubeproxy_sync_proxy_rules_{_OTHER_FAILURES[mode]}_failures_total",
            "Partial restores that were refused." if mode == "iptables" else "Removals that were refused.",
            family,
        )
        by_table = ("table", "ip_family")
        self.rules_total = gauge("kubeproxy_sync_proxy_rules_iptables_total", "Rules of ours, by table.", by_table)
        self.rules_last = gauge(
            "kubeproxy_sync_proxy_rules_iptables_last", "Rules written by the last sync, by table.", by_table
        )
        self.conntrack_duration = histogram(
            "kubeproxy_conntrack_reconciler_sync_duration_seconds", "Time spent on stale flows.", family, _SYNC_BUCKETS
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

    def synced(self, family: str, seconds: float, report: SyncReport, *, full: bool) -> None:
        """Take in one sync that succeeded."""
        self.sync_duration.observe(seconds, family)
        (self.full_sync_duration if full else self.partial_sync_duration).observe(seconds, family)
        self.writes.inc(family, by=report.writes)
        self.other_failures.inc(family, by=int(report.partial_failed))
        for table, number in report.rules_total.items():
            self.rules_total.set(number, table, family)
        for table, number in report.rules_last.items():
            self.rules_last.set(number, table, family)

    def flows_forgotten(self, family: str, number: int, seconds: float) -> None:
        """Take in one look through the flows."""
        self.conntrack_deleted.inc(family, by=number)
        self.conntrack_duration.observe(seconds, family)

    def changed(self, *, services: int, endpoints: int) -> None:
        """How many changes wait for the next sync."""
        self.service_pending.set(services)
        self.endpoint_pending.set(endpoints)


class CounterMetrics:
    """What the kernel counts, in a registry of its own: it may be large, and is written down in a thread."""

    def __init__(self, *, drops: bool = False) -> None:
        self.registry = Registry()
        counter = self.registry.counter
        self._drops = (
            counter(
                "kubeproxy_iptables_ct_state_invalid_dropped_packets_total",
                "Packets dropped because conntrack could not make sense of them.",
            )
            if drops
            else None
        )
        port = ("namespace", "service", "port", "protocol")
        self._service_connections = counter(
            "kubesvc_proxy_service_connections_total", "Connections to a service port that this node saw begin.", port
        )
        self._endpoint_connections = counter(
            "kubesvc_proxy_endpoint_connections_total",
            "Connections that this node sent to an endpoint.",
            (*port, "endpoint"),
        )
        self._service_bytes = counter(
            "kubesvc_proxy_service_bytes_total",
            "Bytes of IP packets that this node carried for a service port, by direction.",
            (*port, "direction"),
        )
        self._endpoint_bytes = counter(
            "kubesvc_proxy_endpoint_bytes_total",
            "Bytes of IP packets that this node carried between a service port and an endpoint, by direction.",
            (*port, "endpoint", "direction"),
        )

    def set_drops(self, packets: int) -> None:
        """Show this number of packets that were invalid to conntrack, where they are dropped at all."""
        if self._drops:
            self._drops.values = {(): packets}

    def set_services(self, connections: Mapping[ServicePortName, int], traffic: ServiceBytes) -> None:
        """Show these counts instead of the last ones."""
        self._service_connections.values = {tuple(name): number for name, number in connections.items()}
        self._service_bytes.values = {(*name, way): number for (name, way), number in traffic.items()}

    def set_endpoints(self, connections: Mapping[tuple[ServicePortName, Target], int], traffic: EndpointBytes) -> None:
        """The same per endpoint."""
        self._endpoint_connections.values = {
            (*name, destination(target)): number for (name, target), number in connections.items()
        }
        self._endpoint_bytes.values = {
            (*name, destination(target), way): number for (name, target, way), number in traffic.items()
        }
