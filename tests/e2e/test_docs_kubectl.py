"""The verbs of the real kubectl, one by one: what the support table says of them is shown here."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubesvc.cli.demo.stage import EXAMPLES
from kubesvc.testing.cluster import Cluster, CommandFailed

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl here, whose verbs these are")
Kubectl = Callable[..., str]
Eventually = Callable[[Callable[[], Any]], Any]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster of these tests' own: some of them cordon and drain nodes."""
    with Cluster(nodes=2) as cluster:
        yield cluster


@pytest.fixture
def kubectl(cluster: Cluster, request: pytest.FixtureRequest) -> Kubectl:
    """kubectl in a namespace of the test's own."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:60].rstrip("-")
    cluster.kubectl("create", "namespace", name)

    def run(*words: str, **kwargs: Any) -> str:
        return cluster.kubectl(words[0], "-n", name, *words[1:], **kwargs)

    return run


@pytest.fixture
def web(kubectl: Kubectl) -> Kubectl:
    """The same, with a Deployment `web` of two ready pods."""
    kubectl("create", "deployment", "web", "--image=kubesvc/echo", "--replicas=2", "--port=8080")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    return kubectl


@pytest.fixture
def shell(kubectl: Kubectl) -> Kubectl:
    """The same, with a running pod `shell`."""
    kubectl("run", "shell", "--image=kubesvc/host", "--command", "--", "sleep", "infinity")
    kubectl("wait", "pod/shell", "--for=condition=Ready")
    return kubectl


def refusal(kubectl: Kubectl, *words: str) -> str:
    with pytest.raises(CommandFailed) as failed:
        kubectl(*words)
    return failed.value.stderr


def test_get_in_every_form(web: Kubectl) -> None:
    assert "NOMINATED NODE" in web("get", "pods", "-o", "wide")
    assert web("get", "deploy", "-o", "name") == "deployment.apps/web\n"
    assert "replicas: 2" in web("get", "deploy", "web", "-o", "yaml")
    assert web("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    assert web("get", "deploy", "-o", "custom-columns=N:.metadata.name", "--no-headers") == "web\n"
    assert len(web("get", "pods", "-l", "app=web", "--show-labels", "--no-headers").splitlines()) == 2
    assert len(web("get", "pods", "--field-selector", "status.phase=Running", "-o", "name").splitlines()) == 2
    assert "kube-system" in web("get", "pods", "-A", "--sort-by=.metadata.name")
    assert "replicaset.apps/web-" in web("get", "all")


def test_get_watch_shows_changes_as_they_come(cluster: Cluster, kubectl: Kubectl) -> None:
    namespace = kubectl("get", "serviceaccounts", "-o", "jsonpath={.items[0].metadata.namespace}")
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    argv = ["kubectl", "get", "configmaps", "-n", namespace, "-w", "-o", "name"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as watch:
        assert watch.stdout is not None
        kubectl("create", "configmap", "news", "--from-literal=a=1")
        try:
            assert any(line == "configmap/news\n" for line in watch.stdout)
        finally:
            watch.terminate()


def test_describe_and_events(web: Kubectl) -> None:
    web("expose", "deployment", "web", "--port=80", "--target-port=8080")
    assert "NodePort" not in web("describe", "service", "web")
    assert "Scaled up replica set" in web("describe", "deployment", "web")
    assert "Successfully assigned" in web("describe", "pods")
    assert "kubernetes.io/hostname=node-1" in web("describe", "node", "node-1")
    assert "Created pod" in web("events")
    assert "SuccessfulCreate" in web("get", "events")


def test_create_of_every_kind(kubectl: Kubectl) -> None:
    kubectl("create", "service", "clusterip", "inside", "--tcp=80:8080")
    kubectl("create", "service", "nodeport", "outside", "--tcp=80:8080")
    kubectl("create", "service", "loadbalancer", "balanced", "--tcp=80:8080")
    kubectl("create", "service", "externalname", "elsewhere", "--external-name=example.com")
    kubectl("create", "service", "clusterip", "headless", "--clusterip=None")
    kubectl("create", "configmap", "settings", "--from-literal=a=1")
    kubectl("create", "secret", "generic", "password", "--from-literal=b=2")
    kubectl("create", "serviceaccount", "robot")
    assert kubectl("create", "token", "robot").count(".") == 2
    found = kubectl("get", "service,configmap,secret,serviceaccount", "-o", "name").split()
    assert {"service/headless", "configmap/settings", "secret/password", "serviceaccount/robot"} <= set(found)


def test_apply_diff_replace(kubectl: Kubectl) -> None:
    first, second = str(EXAMPLES / "web-flask-clusterip.yaml"), str(EXAMPLES / "web-flask-nodeport.yaml")
    assert kubectl("apply", "-f", first) == "service/web-flask-svc created\n"
    assert kubectl("apply", "-f", first) == "service/web-flask-svc unchanged\n"
    assert kubectl("diff", "-f", first) == ""
    with pytest.raises(CommandFailed) as differs:
        kubectl("diff", "-f", second)
    assert "+  type: NodePort" in differs.value.stdout
    assert kubectl("apply", "-f", second, "--dry-run=server") == "service/web-flask-svc configured (server dry run)\n"
    assert kubectl("apply", "-f", second) == "service/web-flask-svc configured\n"
    assert kubectl("replace", "-f", first) == "service/web-flask-svc replaced\n"
    assert kubectl("get", "svc", "web-flask-svc", "-o", "jsonpath={.spec.type}") == "ClusterIP"


def test_apply_on_the_server_side(kubectl: Kubectl) -> None:
    file = str(EXAMPLES / "web-flask-clusterip.yaml")
    assert kubectl("apply", "--server-side", "-f", file) == "service/web-flask-svc serverside-applied\n"
    assert "manager: kubectl" in kubectl("get", "svc", "web-flask-svc", "-o", "yaml", "--show-managed-fields")


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("strategic", '{"spec":{"sessionAffinity":"ClientIP"}}'),
        ("merge", '{"spec":{"sessionAffinity":"ClientIP"}}'),
        ("json", '[{"op":"replace","path":"/spec/sessionAffinity","value":"ClientIP"}]'),
    ],
)
def test_patch(cluster: Cluster, kind: str, patch: str) -> None:
    name = f"patched-{kind}"
    cluster.kubectl("create", "service", "clusterip", name, "--tcp=80")
    cluster.kubectl("patch", "service", name, "--type", kind, "-p", patch)
    assert cluster.get("svc", name)["spec"]["sessionAffinity"] == "ClientIP"


def test_edit(cluster: Cluster, kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl("create", "configmap", "settings", "--from-literal=colour=red")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/red/blue/ "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("KUBE_EDITOR", str(editor))
    assert "configmap/settings edited" in kubectl("edit", "configmap", "settings")
    assert kubectl("get", "configmap", "settings", "-o", "jsonpath={.data.colour}") == "blue"


def test_delete_by_name_label_and_kind(web: Kubectl) -> None:
    pods = web("get", "pods", "-o", "name").split()
    assert "deleted" in web("delete", pods[0])
    assert "deleted" in web("delete", "pods", "-l", "app=web", "--now")
    assert "deleted" in web("delete", "deployment", "--all")
    assert web("delete", "deployment", "web", "--ignore-not-found") == ""


def test_scale_and_rollout(web: Kubectl) -> None:
    assert web("scale", "deployment", "web", "--replicas=3", "--current-replicas=2") == "deployment.apps/web scaled\n"
    assert web("set", "image", "deployment/web", "echo=kubesvc/echo:two") == "deployment.apps/web image updated\n"
    web("set", "env", "deployment/web", "COLOUR=blue")
    assert "successfully rolled out" in web("rollout", "status", "deployment/web", "--timeout=60s")
    web("rollout", "undo", "deployment/web", "--to-revision=1")
    web("rollout", "restart", "deployment/web")
    assert "successfully rolled out" in web("rollout", "status", "deployment/web", "--timeout=60s")
    web("rollout", "pause", "deployment/web")
    web("rollout", "resume", "deployment/web")
    assert "REVISION" in web("rollout", "history", "deployment/web")
    assert web("get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}") == "kubesvc/echo"


def test_expose_answers_by_name(web: Kubectl, shell: Kubectl, eventually: Eventually) -> None:
    web("expose", "deployment", "web", "--name=front", "--port=80", "--target-port=8080", "--type=NodePort")
    eventually(lambda: shell("exec", "shell", "--", "curl", "-s", "front", check=False).startswith("web-"))


def test_label_annotate_taint_and_set_selector(cluster: Cluster, shell: Kubectl) -> None:
    shell("label", "pod", "shell", "tier=back")
    shell("annotate", "pod", "shell", "why=because")
    shell("label", "pod", "shell", "tier-")
    pod = shell("get", "pod", "shell", "-o", "jsonpath={.metadata.labels}{.metadata.annotations}")
    assert "tier" not in pod
    assert '"why":"because"' in pod
    cluster.kubectl("taint", "node", "node-2", "night=yes:NoSchedule")
    cluster.kubectl("taint", "node", "node-2", "night-")
    shell("create", "service", "clusterip", "chosen", "--tcp=80")
    shell("set", "selector", "service", "chosen", "run=shell")
    assert shell("get", "svc", "chosen", "-o", "jsonpath={.spec.selector}") == '{"run":"shell"}'


def test_cordon_and_drain_empty_a_node(cluster: Cluster, web: Kubectl) -> None:
    cluster.kubectl("drain", "node-2", "--ignore-daemonsets", "--force", "--grace-period=1", "--timeout=60s")
    try:
        web("rollout", "status", "deployment/web", "--timeout=60s")
        assert set(web("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.nodeName}").split()) == {
            "node-1"
        }
        assert "SchedulingDisabled" in cluster.kubectl("get", "node", "node-2")
    finally:
        cluster.kubectl("uncordon", "node-2")


def test_exec_with_input_and_exit_code(shell: Kubectl) -> None:
    assert shell("exec", "-i", "shell", "--", "cat", input="spoken in\n") == "spoken in\n"
    with pytest.raises(CommandFailed) as failed:
        shell("exec", "shell", "--", "sh", "-c", "exit 7")
    assert failed.value.code == 7


def test_run_attached_and_removed(kubectl: Kubectl) -> None:
    words = ("run", "once", "--image=kubesvc/host", "--restart=Never", "--rm", "-i", "--quiet", "--command", "--")
    assert "all is well" in kubectl(*words, "sh", "-c", "sleep 0.5; echo all is well", input="")
    assert kubectl("get", "pods", "-o", "name") == ""


def test_logs_follow_and_previous(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl("run", "talker", "--image=kubesvc/host", "--restart=Never", "--command", "--", "seq", "5")
    kubectl("wait", "pod/talker", "--for=jsonpath={.status.phase}=Succeeded")
    assert kubectl("logs", "-f", "talker", "--tail=2") == "4\n5\n"
    kubectl("run", "crasher", "--image=kubesvc/host", "--command", "--", "sh", "-c", "echo last words; exit 1")
    eventually(lambda: kubectl("logs", "crasher", "--previous", check=False) == "last words\n")


def test_cp_both_ways(shell: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("and back\n")
    shell("cp", str(tmp_path / "there"), "shell:/tmp/there")
    shell("cp", "shell:/tmp/there", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "and back\n"


def test_wait_for_conditions_paths_and_deletion(shell: Kubectl) -> None:
    shell("wait", "pod/shell", "--for=jsonpath={.status.phase}=Running")
    shell("delete", "pod", "shell", "--now", "--wait=false")
    shell("wait", "pod/shell", "--for=delete", "--timeout=30s")


def test_what_the_server_says_of_itself(cluster: Cluster) -> None:
    assert "sessionAffinity" in cluster.kubectl("explain", "service.spec")
    assert "endpointslices" in cluster.kubectl("api-resources")
    assert "discovery.k8s.io/v1" in cluster.kubectl("api-versions")
    assert "is running at" in cluster.kubectl("cluster-info")
    assert "kubesvc" in cluster.kubectl("version")
    assert cluster.kubectl("auth", "can-i", "create", "services") == "yes\n"
    assert "system:masters" in cluster.kubectl("auth", "whoami")
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"


def test_what_is_not_offered_is_refused_in_a_sentence(web: Kubectl) -> None:
    assert "WebSocket" in refusal(web, "port-forward", "deployment/web", ":8080")
    pod = web("get", "pods", "-o", "name").split()[0]
    assert "ephemeral containers are disabled" in refusal(web, "debug", pod, "--image=kubesvc/host", "--", "true")
    assert "Metrics API not available" in refusal(web, "top", "pods")
    assert "could not find the requested resource" in refusal(web, "autoscale", "deployment", "web", "--max=3")
    assert "could not find the requested resource" in refusal(web, "create", "job", "once", "--image=kubesvc/host")


def test_a_further_range_of_service_addresses_is_allocated_from(kubectl: Kubectl) -> None:
    spec = {"cidrs": ["10.97.0.0/24"]}
    further = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "further"},
        "spec": spec,
    }
    kubectl("apply", "-f", "-", input=json.dumps(further))
    kubectl("create", "service", "clusterip", "chosen", "--tcp=80", "--clusterip=10.97.0.77")
    assert "10.97.0.77" in kubectl("get", "ipaddresses")
