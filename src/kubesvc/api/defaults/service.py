"""Defaults of a Service (API reference, ServiceSpec)."""

from kubesvc.api.defaults.fields import Document, child, each, ensure, ensure_filled

DEFAULT_AFFINITY_SECONDS = 10800


def is_externally_accessible(spec: Document) -> bool:
    """Whether traffic from outside the cluster may reach the Service at all."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def default_service(service: Document) -> None:
    spec = ensure(service, "spec", {})
    ensure_filled(spec, "type", "ClusterIP")
    _default_affinity(spec)
    for port in each(spec, "ports"):
        _default_port(port)
    _default_policies(spec)
    status = ensure(service, "status", {})
    load_balancer = ensure(status, "loadBalancer", {})
    if spec["type"] == "LoadBalancer":
        ensure(spec, "allocateLoadBalancerNodePorts", True)
        for ingress in each(load_balancer, "ingress"):
            if ingress.get("ip"):
                ensure(ingress, "ipMode", "VIP")


def _default_affinity(spec: Document) -> None:
    ensure_filled(spec, "sessionAffinity", "None")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = child(child(spec, "sessionAffinityConfig"), "clientIP")
        if config.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": DEFAULT_AFFINITY_SECONDS}}


def _default_port(port: Document) -> None:
    ensure_filled(port, "protocol", "TCP")
    if not port.get("targetPort"):
        port["targetPort"] = port.get("port", 0)


def _default_policies(spec: Document) -> None:
    if is_externally_accessible(spec):
        ensure_filled(spec, "externalTrafficPolicy", "Cluster")
    if spec["type"] in ("ClusterIP", "NodePort", "LoadBalancer"):
        ensure(spec, "internalTrafficPolicy", "Cluster")
