"""The C library's resolver, with the resolv.conf of a pod, against the DNS on port 53."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, or `unshare --map-root-user`, for namespaces"),
    pytest.mark.skipif(shutil.which("getent") is None, reason="getent is not installed"),
]
HELPER = Path(__file__).parent / "dns_in_namespace.py"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    directory = tmp_path_factory.mktemp("dns")
    done = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, str(HELPER), str(directory)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers: dict[str, tuple[int, str]] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("web", "10.96.0.7"),
        ("web.shop", "10.96.0.7"),
        ("api.other", "10.96.0.8"),
        ("api.other.svc", "10.96.0.8"),
        ("api.other.svc.cluster.local", "10.96.0.8"),
        ("ext", "10.96.0.8"),
    ],
)
def test_names_resolve_through_the_search_list(said: dict[str, tuple[int, str]], name: str, address: str) -> None:
    status, text = said[name]
    assert status == 0
    assert text.split()[0] == address


def test_addresses_resolve_back(said: dict[str, tuple[int, str]]) -> None:
    assert said["10.96.0.7"][1].split() == ["10.96.0.7", "web.shop.svc.cluster.local"]


def test_an_answer_too_big_for_udp_arrives_whole(said: dict[str, tuple[int, str]]) -> None:
    assert said["many"][1] == "60"


@pytest.mark.parametrize("name", ["nope", "foreign.example.com", "away"])
def test_what_cannot_be_known_is_not_found(said: dict[str, tuple[int, str]], name: str) -> None:
    assert said[name][1] == ""


def test_a_foreign_name_is_unknown_and_not_merely_unavailable(said: dict[str, tuple[int, str]]) -> None:
    assert int(said["error"][1]) == socket.EAI_NONAME
