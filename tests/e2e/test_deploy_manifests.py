"""The manifests in deploy/, applied strictly, and their containers with in-cluster configuration."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubesvc.testing.cluster import Cluster

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
Eventually = Callable[[Callable[[], Any]], Any]
DEPLOY = Path(__file__).parents[2] / "deploy"
SYSTEM = "kube-system"
DNS_USER = 65532
# What a pod of the DaemonSet finds in place, laid over this machine's folders: in $1 the files, the rest the command.
IN_POD = """
set -eu
files=$1; shift
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/kubernetes.io /run/etc /run/work
cp -r "$files/serviceaccount" /run/secrets/kubernetes.io/
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work overlay /etc
cp -r "$files/kubesvc" /etc/
exec "$@"
"""


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


def apply_strictly(cluster: Cluster, name: str, *, without: set[str]) -> None:
    """Apply all but the kinds `without`, which this API server does not have, as kubectl says of the whole file."""
    served = {line.split()[-1] for line in cluster.kubectl("api-resources", "--no-headers").splitlines()}
    every = documents(name)
    assert {document["kind"] for document in every} - served == without
    known = [document for document in every if document["kind"] in served]
    cluster.kubectl("apply", "--validate=strict", "-f", "-", input=yaml.safe_dump_all(known))


@pytest.mark.skipif(
    int(Path("/proc/self/uid_map").read_text().split()[2]) <= DNS_USER,
    reason="this user namespace has root alone, and the pods run as somebody else: run the tests with sudo",
)
def test_the_dns_replaces_the_clusters_own(cluster: Cluster, eventually: Eventually) -> None:
    apply_strictly(cluster, "dns.yaml", without={"ClusterRole", "ClusterRoleBinding"})
    cluster.kubectl("-n", SYSTEM, "rollout", "status", "deployment/kube-dns", "--timeout=60s")

    def pods() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = cluster.get("pods", namespace=SYSTEM, selector="k8s-app=kube-dns")["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    eventually(lambda: len(pods()) == 2)
    for pod in pods():
        assert pod["spec"]["containers"][0]["args"] == _container("dns.yaml", "Deployment")["args"]
        assert pod["status"]["containerStatuses"][0]["ready"]
        address = pod["status"]["podIP"]
        name = pod["metadata"]["name"]
        assert cluster.exec(name, "id", "-u", namespace=SYSTEM) == f"{DNS_USER}\n"
        query = ("dig", "+short", f"@{address}", "kubernetes.default.svc.cluster.local")
        assert cluster.exec(name, *query, namespace=SYSTEM) == "10.96.0.1\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to enter the cluster's network namespace")
def test_the_proxys_container_finds_its_configuration_in_the_cluster(
    cluster: Cluster, eventually: Eventually, tmp_path: Path
) -> None:
    apply_strictly(cluster, "kubesvc-proxy.yaml", without={"ClusterRole", "ClusterRoleBinding", "DaemonSet"})
    account, config = tmp_path / "serviceaccount", tmp_path / "kubesvc"
    account.mkdir()
    config.mkdir()
    (account / "token").write_text(cluster.kubectl("-n", SYSTEM, "create", "token", "kubesvc-proxy").strip())
    (account / "namespace").write_text(SYSTEM)
    (account / "ca.crt").write_text(cluster.get("cm", "kube-root-ca.crt", namespace=SYSTEM)["data"]["ca.crt"])
    for name, text in cluster.get("cm", "kubesvc-proxy", namespace=SYSTEM)["data"].items():
        (config / name).write_text(text)
    api = cluster.get("endpointslices", "kubernetes")
    settings = {
        "KUBERNETES_SERVICE_HOST": api["endpoints"][0]["addresses"][0],
        "KUBERNETES_SERVICE_PORT": str(api["ports"][0]["port"]),
    }
    program, *arguments = _container("kubesvc-proxy.yaml", "DaemonSet")["command"]
    assert program == "kubesvc"
    arguments = [argument.replace("$(NODE_NAME)", "node-1") for argument in arguments]
    # In the router, where no proxy of the cluster's own answers for the same rules and ports.
    entered = ["ip", "netns", "exec", cluster.router_netns]
    command = ["unshare", "--mount", "sh", "-c", IN_POD, "sh", str(tmp_path), sys.executable, "-m", "kubesvc"]
    proxy = subprocess.Popen([*entered, *command, *arguments], env=os.environ | settings)
    try:
        page = [*entered, "curl", "-sS", "http://127.0.0.1:10256/healthz"]
        eventually(lambda: '"healthy": true' in _said(page))
        rules = _said([*entered, "nft", "list", "table", "ip", "kubesvc-proxy"])
        assert "10.96.0.1" in rules
    finally:
        proxy.terminate()
        proxy.wait(timeout=20)


def _container(name: str, kind: str) -> dict[str, Any]:
    workload = next(document for document in documents(name) if document["kind"] == kind)
    container: dict[str, Any] = workload["spec"]["template"]["spec"]["containers"][0]
    return container


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
