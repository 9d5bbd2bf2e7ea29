"""Clusters come and go; the machine stays as it was."""

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubesvc.testing.cluster import Cluster, CommandFailed
from kubesvc.testing.machine import Machine, snapshot

Eventually = Callable[[Callable[[], Any]], Any]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: echo}
spec: {containers: [{name: echo, image: kubesvc/echo}]}
"""


def marked(cluster: Cluster) -> Machine:
    return snapshot(cluster.name, mark=f"KUBESVC_TEST_CLUSTER={cluster.name}")


def test_down_leaves_the_machine_as_it_was_before_up() -> None:
    cluster = Cluster(nodes=2)
    before = marked(cluster)
    with cluster:
        cluster.apply(POD)
        cluster.wait_for("pod/echo", "condition=Ready")
        assert before.differences(marked(cluster))
    assert not before.differences(marked(cluster))


def test_down_also_cleans_up_after_kill_nine_of_everything_and_twice_is_fine() -> None:
    cluster = Cluster()
    before = marked(cluster)
    with cluster:
        cluster.apply(POD)
        cluster.wait_for("pod/echo", "condition=Ready")
        for role in cluster.status()["components"]:
            assert role["pid"] > 1
            os.kill(role["pid"], signal.SIGKILL)
        cluster.down()
        assert not before.differences(marked(cluster))
        cluster.down()
    assert not before.differences(marked(cluster))


def test_down_works_from_the_name_alone_when_the_ledger_is_lost(tmp_path: Path) -> None:
    cluster = Cluster()
    before = marked(cluster)
    with cluster:
        home = Path(os.environ.get("KUBESVC_HOME", "/var/lib/kubesvc"))
        (home / cluster.name / "ledger.json").unlink()
        (home / cluster.name / "processes.json").write_text("not a record")
        cluster.down()
        assert not before.differences(marked(cluster))


def test_two_clusters_side_by_side_share_nothing() -> None:
    with Cluster() as one, Cluster() as two:
        networks = {cluster.status()["nodeNetwork"] for cluster in (one, two)}
        pools = {cluster.status()["loadBalancer"] for cluster in (one, two)}
        assert len(networks | pools) == 4
        one.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}})
        assert "mine" not in two.kubectl("get", "configmaps", "-o", "name")
        two.down()
        assert one.status()["ready"]


def test_up_on_a_running_cluster_does_nothing_and_says_so(kubesvc: Cluster) -> None:
    before = kubesvc.status()["components"]
    done = kubesvc.kubesvc("up", "--name", kubesvc.name, "--no-kubeconfig", "--quiet")
    assert done == ""
    assert [role["pid"] for role in kubesvc.status()["components"]] == [role["pid"] for role in before]


def test_a_persons_kubeconfig_gets_the_context_and_loses_it_again(tmp_path: Path) -> None:
    config = tmp_path / "config"
    mine: dict[str, Any] = {
        "apiVersion": "v1", "kind": "Config", "current-context": "work",
        "clusters": [{"name": "work", "cluster": {"server": "https://work.example"}}],
        "contexts": [{"name": "work", "context": {"cluster": "work", "user": ""}}], "users": [],
    }  # fmt: skip
    config.write_text(yaml.safe_dump(mine))
    cluster = Cluster()
    try:
        cluster.kubesvc("up", "--name", cluster.name, "--kubeconfig", str(config))
        merged = yaml.safe_load(config.read_text())
        assert merged["current-context"] == f"kubesvc-{cluster.name}"
        assert [context["name"] for context in merged["contexts"]] == ["work", f"kubesvc-{cluster.name}"]
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
    finally:
        cluster.kubesvc("down", "--name", cluster.name)
    assert yaml.safe_load(config.read_text()) == mine


def test_clusters_with_their_state_elsewhere_share_neither_name_nor_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Cluster()
    with here:
        taken = here.status()["nodeNetwork"]
        monkeypatch.setenv("KUBESVC_HOME", str(tmp_path))
        with pytest.raises(CommandFailed, match="runs on this machine already, with its state elsewhere"):
            here.kubesvc("up", "--name", here.name, "--no-kubeconfig")
        with pytest.raises(CommandFailed, match="set KUBESVC_HOME as it was"):
            here.kubesvc("down", "--name", here.name)
        with pytest.raises(CommandFailed, match="already uses"):
            here.kubesvc("up", "--name", f"{here.name}b", "--node-network", taken, "--no-kubeconfig")
        monkeypatch.undo()
        assert here.status()["ready"]
