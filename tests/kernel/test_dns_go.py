"""Go's own resolver (no C library), with the resolv.conf of a pod."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, or `unshare --map-root-user`, for namespaces"),
]
DIRECTORY = Path(__file__).parent
D = "cluster.local"
QUERIER = f"dns-querier-1.dns-test-service.dns-1.svc.{D}."
FOUND = {
    "host:kubernetes.default": ["10.96.0.1"],
    "host:kubernetes.default.svc": ["10.96.0.1"],
    f"host:kubernetes.default.svc.{D}": ["10.96.0.1"],
    f"host:kubernetes.default.svc.{D}.": ["10.96.0.1"],
    "host:dns-test-service": ["10.244.0.5"],
    "host:dns-test-service.dns-1": ["10.244.0.5"],
    "host:dns-querier-2.dns-test-service-2": ["10.244.0.6"],
    "host:1kubernetes": ["10.96.0.40"],
    "srv:http:tcp:dns-test-service": [f"0 100 80 {QUERIER}"],
    "srv:http:tcp:test-service-2.dns-1": [f"0 100 80 test-service-2.dns-1.svc.{D}."],
    "addr:10.96.0.20": [f"test-service-2.dns-1.svc.{D}."],
    "addr:10.244.0.6": [f"dns-querier-2.dns-test-service-2.dns-1.svc.{D}."],
    "cname:kubernetes.default": [f"kubernetes.default.svc.{D}."],
    f"txt:dns-version.{D}": ["1.1.0"],
}
# Final and at once: a temporary failure would have Go's programs try again.
MISSING = ("host:nope", "host:nope.dns-1", "host:foreign.example.com", "srv:http:tcp:nope", "addr:10.96.99.99")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed (package golang-go)")
    directory = tmp_path_factory.mktemp("go")
    program = directory / "go-resolver"
    settings = {"CGO_ENABLED": "0", "GOCACHE": str(directory / "cache"), "GOFLAGS": "", "GOPROXY": "off"}
    subprocess.run(
        [go, "build", "-o", str(program), str(DIRECTORY / "go_resolver.go")],
        check=True, timeout=150, cwd=directory, env=os.environ | settings,
    )  # fmt: skip
    helper = [sys.executable, str(DIRECTORY / "dns_as_upstream_asks.py"), str(directory), "program"]
    done = subprocess.run(
        ["unshare", "--net", "--mount", *helper, str(program), *FOUND, *MISSING],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers: dict[str, list[str]] = json.loads(" ".join(json.loads(done.stdout)))
    return answers


@pytest.mark.parametrize("question", FOUND)
def test_go_finds_what_is_there(said: dict[str, list[str]], question: str) -> None:
    assert said[question] == FOUND[question]


@pytest.mark.parametrize("question", MISSING)
def test_go_hears_at_once_that_a_name_does_not_exist(said: dict[str, list[str]], question: str) -> None:
    assert said[question] == ["not found: true, temporary: false"]
