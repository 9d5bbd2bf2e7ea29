"""A kubeconfig says how to connect, or which part of it does not."""

import base64
from pathlib import Path

import pytest
import yaml

from kubesvc.client.errors import KubeconfigError
from kubesvc.client.kubeconfig import read_in_cluster, read_kubeconfig

CONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "lab",
    "contexts": [{"name": "lab", "context": {"cluster": "c", "user": "u", "namespace": "my-ns"}}],
    "clusters": [
        {
            "name": "c",
            "cluster": {
                "server": "https://127.0.0.1:6443/",
                "certificate-authority-data": base64.b64encode(b"CA").decode(),
            },
        }
    ],
    "users": [{"name": "u", "user": {"token": "secret"}}],
}


def written(directory: Path, document: object) -> Path:
    path = directory / "config"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_current_context_is_read(tmp_path: Path) -> None:
    access = read_kubeconfig(written(tmp_path, CONFIG))
    assert (access.server, access.token, access.ca_pem, access.namespace) == (
        "https://127.0.0.1:6443",
        "secret",
        b"CA",
        "my-ns",
    )


def test_files_are_resolved_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"FILE")
    document = CONFIG | {
        "clusters": [{"name": "c", "cluster": {"server": "https://h", "certificate-authority": "ca.pem"}}]
    }
    assert read_kubeconfig(written(tmp_path, document)).ca_pem == b"FILE"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"current-context": ""}, "no context is named"),
        ({"current-context": "gone"}, 'context "gone" is not defined'),
        ({"clusters": []}, 'cluster "c" is not defined'),
        ({"users": []}, 'user "u" is not defined'),
        ({"clusters": [{"name": "c", "cluster": {}}]}, "no server"),
        ({"users": [{"name": "u", "user": {"exec": {}}}]}, "not supported"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    with pytest.raises(KubeconfigError, match=sentence):
        read_kubeconfig(written(tmp_path, CONFIG | change))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="No such file"):
        read_kubeconfig(tmp_path / "absent")


def test_a_pods_own_files_give_access(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_bytes(b"CA")
    (tmp_path / "namespace").write_text("kube-system")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    access = read_in_cluster(environ, tmp_path)
    assert (access.server, access.namespace) == ("https://[fd00::1]:443", "kube-system")


def test_outside_a_pod_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="pass --kubeconfig"):
        read_in_cluster({}, tmp_path)
