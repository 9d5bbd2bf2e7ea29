"""What kubesvc's own commands do where there is no kubectl."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kubesvc.cli.demo.stage import EXAMPLES
from kubesvc.testing.cluster import Cluster, CommandFailed

Eventually = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def own(kubesvc: Cluster, namespace: str) -> Callable[..., str]:
    """A kubesvc command in the test's namespace."""

    def run(command: str, *args: str, **kwargs: Any) -> str:
        return kubesvc.kubesvc(command, "-n", namespace, "--kubeconfig", str(kubesvc.kubeconfig), *args, **kwargs)

    return run


def test_apply_says_what_it_did_and_twice_is_unchanged(own: Callable[..., str]) -> None:
    file = str(EXAMPLES / "web-flask-clusterip.yaml")
    assert own("apply", "-f", file) == "service/web-flask-svc created\n"
    assert own("apply", "-f", file) == "service/web-flask-svc unchanged\n"
    assert own("apply", "-f", str(EXAMPLES / "web-flask-nodeport.yaml")) == "service/web-flask-svc configured\n"
    assert "30480" in own("get", "svc")
    assert "deleted" in own("delete", "svc", "web-flask-svc")


def test_get_prints_the_servers_table_and_documents(own: Callable[..., str]) -> None:
    own("apply", "-f", str(EXAMPLES / "mysql-server.yaml"))
    table = own("get", "svc").splitlines()
    assert table[0].split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert table[1].split()[:2] == ["mysql-server", "ExternalName"]
    assert own("get", "svc", "-o", "name") == "service/mysql-server\n"
    assert json.loads(own("get", "svc", "mysql-server", "-o", "json"))["spec"]["type"] == "ExternalName"
    assert "CNAME" not in own("describe", "svc", "mysql-server")


def test_run_exec_logs_and_expose_work_together(own: Callable[..., str], eventually: Eventually) -> None:
    own("run", "web", "--image=kubesvc/echo", "--port=8080", "--labels=app=web")
    own("wait", "pod/web", "--for=condition=Ready")
    assert own("exec", "web", "--", "hostname").strip() == "web"
    assert own("exec", "-i", "web", "--", "cat", input="spoken in\n") == "spoken in\n"
    assert "answers HTTP" in own("logs", "web")
    assert own("expose", "pod/web", "--name=front", "--port=80", "--target-port=8080") == "service/front exposed\n"
    own("wait", "svc/front", "--for=endpoints=1")
    eventually(lambda: own("exec", "web", "--", "curl", "-sS", "front", check=False).startswith("web"))


def test_the_exit_code_of_a_remote_command_is_the_commands(own: Callable[..., str]) -> None:
    own("run", "web", "--image=kubesvc/host")
    own("wait", "pod/web", "--for=condition=Ready")
    with pytest.raises(CommandFailed) as failed:
        own("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (failed.value.code, failed.value.stdout, failed.value.stderr) == (7, "out\n", "err\n")


def test_label_refuses_to_overwrite_unasked(own: Callable[..., str]) -> None:
    own("run", "web", "--image=kubesvc/host", "--labels=tier=front")
    with pytest.raises(CommandFailed, match="--overwrite"):
        own("label", "pod", "web", "tier=back")
    assert own("label", "pod", "web", "tier=back", "--overwrite") == "pod/web labeled\n"
    assert "tier=back" in own("get", "pods", "--show-labels")


def test_a_missing_object_is_one_sentence_and_exit_code_one(own: Callable[..., str]) -> None:
    with pytest.raises(CommandFailed) as failed:
        own("get", "svc", "nothing")
    assert failed.value.code == 1
    assert failed.value.stderr == 'error: from server (NotFound): services "nothing" not found\n'


def test_status_and_list_know_the_cluster(kubesvc: Cluster) -> None:
    assert kubesvc.name in kubesvc.kubesvc("list", "-o", "name").split()
    text = kubesvc.kubesvc("status", "--name", kubesvc.name)
    assert f"{kubesvc.name} (ready)" in text
    assert "node-2.proxy" in text


def test_the_walk_through_the_lab_passes_without_kubectl() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kubesvc", "demo", "--no-kubectl", "--cluster-name", "test-demo"],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.stdout.rstrip().endswith("demo: 16 of 16 steps passed"), done.stdout + done.stderr
    assert done.returncode == 0
