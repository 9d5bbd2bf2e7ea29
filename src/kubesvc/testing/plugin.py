"""The pytest plugin: the fixture `kubesvc`, a cluster that real packets go through.

    def test_service_answers(kubesvc):
        kubesvc.apply(MANIFEST)
        ...

Configuration (ini): `kubesvc_scope` (`session`, the default, or `module`), `kubesvc_nodes`,
`kubesvc_proxy_mode`. Under pytest-xdist every worker has a cluster of its own. Without root the tests
that ask for it are skipped with the reason.
"""

import os
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kubesvc.testing.cluster import Cluster


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the ini options."""
    parser.addini("kubesvc_scope", "scope of the kubesvc fixture: session or module", default="session")
    parser.addini("kubesvc_nodes", "how many nodes the kubesvc fixture's cluster has", default="1")
    parser.addini("kubesvc_proxy_mode", "nftables or iptables", default="nftables")


def _scope(fixture_name: str, config: pytest.Config) -> Any:
    return config.getini("kubesvc_scope")


@pytest.fixture(scope=_scope)
def kubesvc(pytestconfig: pytest.Config) -> "Iterator[Cluster]":
    """A running cluster (`kubesvc.testing.Cluster`), shared by the tests of its scope."""
    from kubesvc.testing.cluster import Cluster

    if os.geteuid() != 0:
        pytest.skip("a cluster needs root: run pytest with sudo, or inside `unshare --map-root-user --net --mount`")
    nodes, mode = int(pytestconfig.getini("kubesvc_nodes")), str(pytestconfig.getini("kubesvc_proxy_mode"))
    with Cluster(nodes=nodes, proxy_mode=mode) as cluster:
        yield cluster


@pytest.fixture
def kubesvc_namespace(kubesvc: "Cluster") -> Iterator[str]:
    """A namespace of the test's own in the shared cluster; removed, without waiting, afterwards."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    kubesvc.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    kubesvc.kubectl("delete", "namespace", name, "--wait=false")
