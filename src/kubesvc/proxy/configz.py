"""What /configz says: the options in the shape in which kube-proxy shows its own."""

from kubesvc.proxy.options import Mode, ProxyOptions

GROUP = "kubeproxy.config.k8s.io"


def configz(options: ProxyOptions) -> dict[str, object]:
    """The effective configuration, named as kube-proxy's fields are; what only we have stands under `kubesvc`."""
    rules = {
        "MasqueradeBit": options.masquerade_bit,
        "MasqueradeAll": options.masquerade_all,
        "SyncPeriod": _duration(options.sync_period),
        "MinSyncPeriod": _duration(options.min_sync_period),
    }
    document = {
        "FeatureGates": {},
        "ClientConnection": {"Kubeconfig": str(options.kubeconfig or "")},
        "HostnameOverride": options.node_name,
        "BindAddress": options.bind_address,
        "BindAddressHardFail": options.bind_hard_fail,
        "HealthzBindAddress": options.healthz_bind,
        "MetricsBindAddress": options.metrics_bind,
        "Mode": str(Mode(options.mode)),
        "IPTables": {**rules, "LocalhostNodePorts": options.localhost_nodeports},
        "NFTables": rules,
        "DetectLocalMode": str(options.detect_local),
        "DetectLocal": {
            "ClusterCIDRs": options.cluster_cidr.split(",") if options.cluster_cidr else [],
            "BridgeInterface": options.pod_bridge,
            "InterfaceNamePrefix": options.pod_interface_prefix,
        },
        "NodePortAddresses": list(options.nodeport_addresses),
        "SyncPeriod": _duration(options.sync_period),
        "MinSyncPeriod": _duration(options.min_sync_period),
        "Linux": {
            "MasqueradeAll": options.masquerade_all,
            "OOMScoreAdj": options.oom_score_adj,
            "Conntrack": {
                "MaxPerCore": options.conntrack_max_per_core,
                "Min": options.conntrack_min,
                "TCPEstablishedTimeout": _duration(options.tcp_established_seconds),
                "TCPCloseWaitTimeout": _duration(options.tcp_close_wait_seconds),
                "TCPBeLiberal": options.tcp_be_liberal,
                "UDPTimeout": _duration(options.udp_seconds),
                "UDPStreamTimeout": _duration(options.udp_stream_seconds),
            },
        },
    }
    return {GROUP: document, "kubesvc": {"ServiceCIDRs": list(options.service_cidrs)}}


def _duration(seconds: float) -> str:
    """As Go writes durations: `1h0m0s`, `30s`, `250ms`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:g}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text
