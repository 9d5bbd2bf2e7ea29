"""P: the objects every cluster starts with beyond the API server's own: kube-dns and its reader."""

from typing import Any

from kubesvc.api.resources import DEPLOYMENTS, SERVICEACCOUNTS, SERVICES, Resource
from kubesvc.cluster.topology import CLUSTER_DNS, CLUSTER_DOMAIN

DNS_NAMESPACE = "kube-system"
DNS_NAME = "kube-dns"
_LABELS = {"k8s-app": DNS_NAME}
_CONFIG_DIR = "/etc/kube-dns"


def bootstrap_objects() -> tuple[tuple[Resource, dict[str, Any]], ...]:
    """In the order of creation: the Deployment last, because it needs the others."""
    return (
        (SERVICEACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata()}),
        (SERVICES, dns_service()),
        (DEPLOYMENTS, dns_deployment()),
    )


def dns_service() -> dict[str, Any]:
    labels = {"kubernetes.io/cluster-service": "true", "kubernetes.io/name": "KubeDNS"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(labels),
        "spec": {
            "selector": _LABELS,
            "clusterIP": str(CLUSTER_DNS),
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
                {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
            ],
        },
    }


def dns_deployment() -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": _LABELS},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": _LABELS},
                "spec": {
                    "serviceAccountName": DNS_NAME,
                    # The DNS pod must not wait for itself.
                    "dnsPolicy": "Default",
                    "containers": [_dns_container()],
                    # Stub domains and upstreams for whoever makes it, Kubernetes' own tests among them.
                    "volumes": [{"name": "config", "configMap": {"name": DNS_NAME, "optional": True}}],
                },
            },
        },
    }


def _dns_container() -> dict[str, Any]:
    return {
        "name": "dns",
        "image": "kubesvc/dns",
        "args": ["--domain", CLUSTER_DOMAIN, "--config-dir", _CONFIG_DIR],
        "volumeMounts": [{"name": "config", "mountPath": _CONFIG_DIR, "readOnly": True}],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1, "timeoutSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 10, "failureThreshold": 5},
    }


def _metadata(labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"name": DNS_NAME, "namespace": DNS_NAMESPACE, "labels": {**_LABELS, **(labels or {})}}
