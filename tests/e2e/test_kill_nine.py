"""kill -9 of any one process: the others go on, it comes back by itself, nothing acknowledged is lost."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubesvc.testing.cluster import Cluster
from kubesvc.testing.machine import snapshot

Eventually = Callable[[Callable[[], Any]], Any]

ROLES = ["apiserver", "controllers", "node-1.agent", "node-1.proxy", "node-2.agent", "node-2.proxy"]
MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: echo, labels: {app: echo}}
spec:
  nodeName: node-1
  terminationGracePeriodSeconds: 1
  containers: [{name: echo, image: kubesvc/echo}]
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  type: NodePort
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080}]
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=2) as cluster:
        cluster.apply(MANIFEST)
        cluster.wait_for("svc/echo", "endpoints=1")
        yield cluster


def address_of(cluster: Cluster) -> tuple[str, int]:
    """Where the Service answers from outside: the node that does not run the pod."""
    node = cluster.get("nodes", "node-2")["status"]["addresses"][0]["address"]
    return node, cluster.get("svc", "echo")["spec"]["ports"][0]["nodePort"]


def pids(cluster: Cluster) -> dict[str, int]:
    return {role["name"]: role["pid"] for role in cluster.status()["components"]}


def kill(pid: int) -> None:
    # Zero would mean this process's own group.
    assert pid > 1
    os.kill(pid, signal.SIGKILL)


def connect(address: tuple[str, int]) -> socket.socket | None:
    try:
        return socket.create_connection(address, timeout=2)
    except OSError:
        return None


def ask(connection: socket.socket) -> str:
    connection.sendall(b"are you there?\n")
    return connection.recv(65536).decode().splitlines()[0]


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_role_comes_back_and_nothing_is_lost(role: str, cluster: Cluster, eventually: Eventually) -> None:
    address = address_of(cluster)
    connection = eventually(lambda: connect(address))
    with connection:
        assert ask(connection) == "echo"
        cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"before-{role}"}})
        victim = pids(cluster)[role]
        kill(victim)
        # Established connections and new ones go on while it is away.
        assert ask(connection) == "echo"
        second = connect(address)
        assert second is not None
        with second:
            assert ask(second) == "echo"
        eventually(lambda: pids(cluster)[role] not in (0, victim) and cluster.status()["ready"])
        assert ask(connection) == "echo"
    assert cluster.get("configmap", f"before-{role}")
    pod = cluster.get("pod", "echo")
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_killed_supervisor_comes_back_and_goes_on_with_what_runs(cluster: Cluster, eventually: Eventually) -> None:
    before = pids(cluster)
    connection = eventually(lambda: connect(address_of(cluster)))
    with connection:
        kill(before["supervisor"])
        eventually(lambda: pids(cluster)["supervisor"] not in (0, before["supervisor"]) and cluster.status()["ready"])
        assert ask(connection) == "echo"
        after = pids(cluster)
        assert {**after, "supervisor": 0} == {**before, "supervisor": 0}
        # The adopted roles are watched as the old ones were.
        kill(after["apiserver"])
        eventually(lambda: pids(cluster)["apiserver"] not in (0, after["apiserver"]) and cluster.status()["ready"])
        assert ask(connection) == "echo"


def test_a_killed_keeper_comes_back_and_keeps_the_supervisor(cluster: Cluster, eventually: Eventually) -> None:
    before = pids(cluster)
    kill(before["keeper"])
    eventually(lambda: pids(cluster)["keeper"] not in (0, before["keeper"]))
    kill(before["supervisor"])
    eventually(lambda: pids(cluster)["supervisor"] not in (0, before["supervisor"]) and cluster.status()["ready"])


def test_after_kill_nine_of_supervisor_and_keeper_up_repairs_without_stopping_anything(
    cluster: Cluster, eventually: Eventually
) -> None:
    before = pids(cluster)
    both = ["supervisor", "keeper"]
    for role in both:
        # Neither gets the time to start the other.
        os.kill(before[role], signal.SIGSTOP)
    for role in both:
        kill(before[role])
    eventually(lambda: not cluster.status()["ready"])
    cluster.kubesvc("up", "--name", cluster.name, "--kubeconfig", str(cluster.kubeconfig))
    after = pids(cluster)
    assert not {after[role] for role in both} & {0, *before.values()}
    assert {role: after[role] for role in ROLES} == {role: before[role] for role in ROLES}
    kill(after["apiserver"])
    eventually(lambda: pids(cluster)["apiserver"] not in (0, after["apiserver"]) and cluster.status()["ready"])


def test_after_kill_nine_of_everything_up_brings_the_cluster_back_with_its_objects(
    cluster: Cluster, eventually: Eventually
) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}})
    for pid in pids(cluster).values():
        kill(pid)
    cluster.kubesvc("up", "--name", cluster.name, "--kubeconfig", str(cluster.kubeconfig))
    assert cluster.get("configmap", "kept")
    address = address_of(cluster)

    def answers() -> bool:
        connection = connect(address)
        if connection is None:
            return False
        with connection:
            return ask(connection) == "echo"

    eventually(answers)


def test_nothing_comes_back_after_down(eventually: Eventually) -> None:
    cluster = Cluster()
    before = snapshot(cluster.name, mark=f"KUBESVC_TEST_CLUSTER={cluster.name}")
    with cluster:
        first = pids(cluster)["supervisor"]
        kill(first)
        eventually(lambda: pids(cluster)["supervisor"] not in (0, first))
        # `down` meets a keeper that is about to act.
        kill(pids(cluster)["supervisor"])
        cluster.down()
        assert not before.differences(snapshot(cluster.name, mark=f"KUBESVC_TEST_CLUSTER={cluster.name}"))
