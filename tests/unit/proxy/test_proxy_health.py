"""What the proxy's health answers say (behaviour rows 28 and 30)."""

import json
from typing import Any

import msgspec
import pytest

from kubesvc.api import views
from kubesvc.proxy.health import Health, health_check_answer, node_eligible
from kubesvc.proxy.model import HealthCheck


def test_alive_until_the_oldest_update_has_waited_too_long() -> None:
    health = Health(patience=60)
    assert health.live(0)

    health.queued(10)
    health.queued(50)

    assert health.live(69.9)
    assert not health.live(70)


def test_ready_only_after_rules_are_in_force_on_an_eligible_node() -> None:
    health = Health(patience=60)
    assert not health.ready(0)
    health.synced = True
    assert health.ready(0)
    health.node_eligible = False
    assert not health.ready(0)
    assert health.live(0)


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
