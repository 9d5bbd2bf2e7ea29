"""What the proxy's health answers say (behaviour rows 28 and 30)."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from kubesvc.api import views
from kubesvc.proxy.health import Health, checks_by_port, health_check_answer, node_eligible
from kubesvc.proxy.model import HealthCheck

NOW, EARLIER = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 3, 0, 0, tzinfo=UTC)


def test_alive_until_the_oldest_update_of_a_family_has_waited_too_long() -> None:
    health = Health(patience=60)
    assert health.live(0)

    health.queued("IPv4", 10)
    health.queued("IPv4", 50)
    health.queued("IPv6", 60)
    assert health.live(69.9)
    assert not health.live(70)

    health.updated("IPv4", NOW)
    assert health.live(70)
    assert not health.live(120)


def test_ready_only_after_rules_are_in_force_on_an_eligible_node() -> None:
    health = Health(patience=60)
    assert not health.ready(0)
    health.synced = True
    assert health.ready(0)
    health.node_eligible = False
    assert not health.ready(0)
    assert health.live(0)


def test_what_is_answered_tells_family_from_family() -> None:
    health = Health(patience=60, synced=True)
    health.updated("IPv4", EARLIER)
    health.updated("IPv6", EARLIER)
    health.queued("IPv6", 10)

    status, headers, body = health.healthz(100, NOW)

    assert (status, headers["X-Content-Type-Options"]) == (503, "nosniff")
    assert json.loads(body) == {
        "lastUpdated": "2026-01-02T03:00:00Z",
        "currentTime": "2026-01-02T03:04:05Z",
        "nodeEligible": True,
        "healthy": False,
        "status": {
            "IPv4": {"lastUpdated": "2026-01-02T03:00:00Z", "healthy": True},
            "IPv6": {"lastUpdated": "2026-01-02T03:00:00Z", "healthy": False},
        },
    }


def test_only_healthz_asks_for_the_node_and_a_good_answer_is_as_new_as_now() -> None:
    health = Health(patience=60, synced=True, node_eligible=False)
    health.updated("IPv4", EARLIER)

    (ready, _, readiness), (live, _, liveness) = health.healthz(0, NOW), health.livez(0, NOW)

    assert (ready, json.loads(readiness)["lastUpdated"]) == (503, "2026-01-02T03:00:00Z")
    assert (live, json.loads(liveness)["lastUpdated"]) == (200, "2026-01-02T03:04:05Z")
    assert (json.loads(readiness)["nodeEligible"], json.loads(readiness)["healthy"]) == (False, True)
    assert "nodeEligible" not in json.loads(liveness)


@pytest.mark.parametrize(
    ("more", "eligible"),
    [
        ({}, True),
        ({"metadata": {"name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, False),
        ({"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}}, False),
        ({"spec": {"taints": [{"key": "other", "effect": "NoSchedule"}]}}, True),
    ],
)
def test_eligible_nodes(more: dict[str, Any], eligible: bool) -> None:
    node = msgspec.convert({"metadata": {"name": "n"}, **more}, views.Node)

    assert node_eligible(node) is eligible


def test_a_node_that_is_missing_is_not_eligible() -> None:
    assert not node_eligible(None)


@pytest.mark.parametrize(("local_ready", "proxy", "code"), [(2, True, 200), (0, True, 503), (2, False, 503)])
def test_a_health_check_port(local_ready: int, proxy: bool, code: int) -> None:
    status, headers, body = health_check_answer(HealthCheck("ns", "web", 32000, local_ready), proxy_healthy=proxy)

    assert (status, headers["X-Load-Balancing-Endpoint-Weight"]) == (code, str(local_ready))
    assert json.loads(body) == {
        "service": {"namespace": "ns", "name": "web"},
        "localEndpoints": local_ready,
        "serviceProxyHealthy": proxy,
    }


def test_a_service_of_two_families_is_as_healthy_as_the_better_one() -> None:
    checks = [HealthCheck("ns", "web", 32000, 2), HealthCheck("ns", "web", 32000, 0), HealthCheck("ns", "b", 32001, 0)]

    for order in (checks, checks[::-1]):
        assert {port: check.local_ready for port, check in checks_by_port(order).items()} == {32000: 2, 32001: 0}
