"""musl's resolver, in a program linked with it, with the resolv.conf of a pod."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, or `unshare --map-root-user`, for namespaces"),
]
DIRECTORY = Path(__file__).parent
FOUND = {
    "web": "10.96.0.7",
    "web.shop": "10.96.0.7",
    "api.other": "10.96.0.8",
    "api.other.svc.cluster.local": "10.96.0.8",
    "ext": "10.96.0.8",
}
Said = dict[str, Any]


def built(program: Path, *command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=program.parent)
    assert done.returncode == 0, done.stderr
    return str(program)


def ask(directory: Path, program: str) -> Said:
    """What everything in the namespace says, `program` among it."""
    inside = [sys.executable, str(DIRECTORY / "dns_in_namespace.py"), str(directory), program]
    done = subprocess.run(
        ["unshare", "--net", "--mount", *inside],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: Said = json.loads(done.stdout)
    return said


def lines(text: str) -> dict[str, tuple[int, int, str]]:
    """Status, number of addresses and the first of them, by name."""
    words = text.split()
    return {
        name: (int(status), int(count), first)
        for name, status, count, first in zip(*(words[at::4] for at in range(4)), strict=True)
    }


@pytest.fixture(scope="module")
def musl(tmp_path_factory: pytest.TempPathFactory) -> Said:
    compiler = shutil.which("musl-gcc")
    if compiler is None:
        pytest.skip("musl-gcc is not installed (package musl-tools)")
    directory = tmp_path_factory.mktemp("musl")
    program = directory / "musl-resolver"
    source = str(DIRECTORY / "musl_resolver.c")
    return ask(directory, built(program, compiler, "-static", "-o", str(program), source))


@pytest.mark.parametrize("name", FOUND)
def test_musl_finds_names_through_the_search_list(musl: Said, name: str) -> None:
    assert lines(musl["musl-resolver"][1])[name] == (0, 1, FOUND[name])


def test_musl_gets_many_addresses(musl: Said) -> None:
    status, count, first = lines(musl["musl-resolver"][1])["crowd"]
    assert status == 0
    # From 1.2.4 on it asks by TCP when an answer is cut, before it takes what there is; its own
    # bound on addresses is 48.
    assert 20 <= count <= 300
    assert first.startswith("10.1.")


@pytest.mark.parametrize("name", ["nope", "foreign.example.com"])
def test_musl_hears_at_once_that_a_name_does_not_exist(musl: Said, name: str) -> None:
    eai_noname = -2
    assert lines(musl["musl-resolver"][1])[name] == (eai_noname, 0, "-")


def test_musl_never_has_to_ask_again(musl: Said) -> None:
    # Both names through a search list of three and then as they stand, nothing twice: it does not wait.
    assert musl["musl-resolver queries"][1] == "8"
