"""Is this proxy well: what /livez, /healthz and the Services' health-check ports answer (rows 28, 30)."""

import json
from dataclasses import dataclass

from kubesvc.api import views
from kubesvc.proxy.model import HealthCheck

AUTOSCALER_TAINT = "ToBeDeletedByClusterAutoscaler"


@dataclass(slots=True)
class Health:
    """What is known; times are monotonic seconds."""

    patience: float
    """How long an update may wait before the proxy counts as stuck."""
    synced: bool = False
    waiting_since: float | None = None
    node_eligible: bool = True

    def queued(self, now: float) -> None:
        """An update waits; the oldest one counts."""
        if self.waiting_since is None:
            self.waiting_since = now

    def live(self, now: float) -> bool:
        """Whether updates get through."""
        return self.waiting_since is None or now - self.waiting_since < self.patience

    def ready(self, now: float) -> bool:
        """Whether load balancers may send traffic to this node."""
        return self.synced and self.live(now) and self.node_eligible


def node_eligible(node: views.Node | None) -> bool:
    """A node that is missing, being deleted, or about to be, should get no new traffic."""
    if node is None or node.metadata.deletion_timestamp:
        return False
    return all(taint.key != AUTOSCALER_TAINT for taint in node.spec.taints or ())


def health_check_answer(check: HealthCheck, *, proxy_healthy: bool) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a Service's health-check port."""
    healthy = check.local_ready > 0 and proxy_healthy
    body = {
        "service": {"namespace": check.namespace, "name": check.service},
        "localEndpoints": check.local_ready,
        "serviceProxyHealthy": proxy_healthy,
    }
    headers = {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "X-Load-Balancing-Endpoint-Weight": str(check.local_ready),
    }
    return 200 if healthy else 503, headers, json.dumps(body, indent=1).encode()
