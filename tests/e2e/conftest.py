"""Whole clusters: `kubesvc` (the plugin's fixture) is shared by the session, a namespace belongs to one test."""

import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from kubesvc.testing.cluster import Cluster

_PATIENCE = 20.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show, with a failure, how the logs of the test's clusters end."""
    report = yield
    if report.failed:
        clusters = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Cluster)]
        for cluster in clusters:
            report.sections.append((f"logs of cluster {cluster.name}", cluster.log_ends()))
    return report


@pytest.fixture
def namespace(kubesvc_namespace: str) -> str:
    return kubesvc_namespace


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Call until the value is true or no AssertionError is raised; the last one tells why it never was."""

    def wait(ask: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                value = ask()
                if value:
                    return value
                reason: AssertionError | None = None
            except AssertionError as err:
                reason = err
            if time.monotonic() > deadline:
                raise reason or AssertionError("never became true")
            time.sleep(0.02)

    return wait


@pytest.fixture
def forcurl(kubesvc: Cluster, namespace: str) -> Callable[..., str]:
    """Run a command in a pod of the test's namespace."""
    kubesvc.apply(host_pod("forcurl"), namespace=namespace)
    kubesvc.wait_for("pod/forcurl", "condition=Ready", namespace=namespace)

    def run(*command: str, check: bool = True) -> str:
        return kubesvc.exec("forcurl", *command, namespace=namespace, check=check)

    return run


def host_pod(name: str) -> dict[str, Any]:
    return pod(name, image="kubesvc/host")


def pod(
    name: str, *, image: str = "kubesvc/echo", labels: dict[str, str] | None = None, node: str = "", port: int = 8080
) -> dict[str, Any]:
    container = {"name": "main", "image": image, "env": [{"name": "PORT", "value": str(port)}]}
    spec: dict[str, Any] = {"containers": [container], "terminationGracePeriodSeconds": 1}
    if node:
        spec["nodeName"] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": name}},
        "spec": spec,
    }
