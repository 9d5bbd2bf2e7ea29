"""Is this proxy well: what /livez, /healthz and the Services' health-check ports answer (rows 28, 30)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from kubesvc.api import views
from kubesvc.proxy.model import HealthCheck

AUTOSCALER_TAINT = "ToBeDeletedByClusterAutoscaler"


Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""

JSON = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"}
NEVER = "0001-01-01T00:00:00Z"


@dataclass(slots=True)
class Health:
    """What is known; times that are compared are monotonic seconds."""

    patience: float
    """How long an update may wait before the proxy counts as stuck."""
    synced: bool = False
    node_eligible: bool = True
    _waiting_since: dict[str, float] = field(default_factory=dict)
    _updated: dict[str, datetime] = field(default_factory=dict)

    def queued(self, family: str, now: float) -> None:
        """An update of a family waits; the oldest one counts."""
        self._waiting_since.setdefault(family, now)

    def updated(self, family: str, at: datetime) -> None:
        """Everything known of a family is in force."""
        self._waiting_since.pop(family, None)
        self._updated[family] = at

    def live(self, now: float) -> bool:
        """Whether updates get through."""
        return all(self._family_live(family, now) for family in self._waiting_since)

    def ready(self, now: float) -> bool:
        """Whether load balancers may send traffic to this node."""
        return self.synced and self.live(now) and self.node_eligible

    def livez(self, now: float, time: datetime) -> Answer:
        """What /livez answers."""
        return self._answer(self.live(now), self.live(now), now, time)

    def healthz(self, now: float, time: datetime) -> Answer:
        """What /healthz answers; unlike /livez it waits for the first sync, and looks at the node."""
        healthy = self.synced and self.live(now)
        return self._answer(self.ready(now), healthy, now, time, nodeEligible=self.node_eligible)

    def _answer(self, good: bool, healthy: bool, now: float, time: datetime, **more: bool) -> Answer:
        updated = time if good else max(self._updated.values(), default=None)
        body = {
            "lastUpdated": _text(updated),
            "currentTime": _text(time),
            **more,
            "healthy": healthy,
            "status": {
                family: {"lastUpdated": _text(at), "healthy": self._family_live(family, now)}
                for family, at in self._updated.items()
            },
        }
        return 200 if good else 503, JSON, json.dumps(body).encode()

    def _family_live(self, family: str, now: float) -> bool:
        return now - self._waiting_since.get(family, now) < self.patience


def _text(time: datetime | None) -> str:
    return time.isoformat().replace("+00:00", "Z") if time else NEVER


def node_eligible(node: views.Node | None) -> bool:
    """A node that is missing, being deleted, or about to be, should get no new traffic."""
    if node is None or node.metadata.deletion_timestamp:
        return False
    return all(taint.key != AUTOSCALER_TAINT for taint in node.spec.taints or ())


def checks_by_port(checks: Iterable[HealthCheck]) -> dict[int, HealthCheck]:
    """One check per port. A Service of two families has two: the family with more endpoints here counts."""
    found: dict[int, HealthCheck] = {}
    for check in checks:
        known = found.setdefault(check.port, check)
        if check.local_ready > known.local_ready and check[:2] == known[:2]:
            found[check.port] = check
    return found


def health_check_answer(check: HealthCheck, *, proxy_healthy: bool) -> Answer:
    """What a Service's health-check port answers."""
    healthy = check.local_ready > 0 and proxy_healthy
    body = {
        "service": {"namespace": check.namespace, "name": check.service},
        "localEndpoints": check.local_ready,
        "serviceProxyHealthy": proxy_healthy,
    }
    headers = {**JSON, "X-Load-Balancing-Endpoint-Weight": str(check.local_ready)}
    return 200 if healthy else 503, headers, json.dumps(body, indent="\t").encode()
