"""`kubesvc proxy` on a machine whose nftables is missing or too old: it says so at once, and what to do."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.kernel.proxy_net import run

from kubesvc.linux import netns
from kubesvc.linux.nft import Nft, NftError
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.backend import NftablesBackend
from kubesvc.proxy.rules import RuleSettings

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes mount namespaces: run as root")]

# What an old libnftables answers to words it does not know.
OLD_LIBRARY = """
void *nft_ctx_new(unsigned flags) { return (void *)1; }
void nft_ctx_free(void *context) {}
int nft_ctx_buffer_output(void *context) { return 0; }
int nft_ctx_buffer_error(void *context) { return 0; }
void nft_ctx_output_set_flags(void *context, unsigned flags) {}
void nft_ctx_set_dry_run(void *context, _Bool dry) {}
int nft_run_cmd_from_buffer(void *context, const char *commands) { return -1; }
const char *nft_ctx_get_output_buffer(void *context) { return ""; }
const char *nft_ctx_get_error_buffer(void *context) { return "Error: syntax error, unexpected numgen\\nmore"; }
"""


def library() -> Path:
    """Where this machine has libnftables."""
    Nft().close()
    found = re.search(r"(/\S*libnftables\.so\S*)", Path("/proc/self/maps").read_text())
    assert found is not None
    return Path(found[1])


def proxy_with(stand_in: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """The proxy's end where `stand_in` takes the library's place, in a mount namespace of its own."""
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n"
    )
    proxy = f"{sys.executable} -X dev -m kubesvc.cli.main proxy --kubeconfig {config} --proxy-mode nftables"
    script = f"mount --bind {stand_in} {library()} && exec {proxy}"
    command = ["unshare", "--mount", "--net", "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_without_libnftables_the_proxy_names_the_package(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.touch()

    ended = proxy_with(nothing, tmp_path)

    assert ended.returncode == 1
    assert "libnftables.so.1 is not installed (Debian and Ubuntu: apt install nftables)" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to make an old library with")
def test_with_a_libnftables_that_is_too_old_the_proxy_names_what_is_needed(tmp_path: Path) -> None:
    source, old = tmp_path / "old.c", tmp_path / "old.so"
    source.write_text(OLD_LIBRARY)
    run("cc", "-shared", "-fPIC", "-o", str(old), str(source))

    ended = proxy_with(old, tmp_path)

    assert ended.returncode == 1
    assert "syntax error, unexpected numgen: too old for the proxy's rules" in ended.stderr
    assert "libnftables 1.0.1 and Linux 5.13 are the least" in ended.stderr
    assert "--proxy-mode iptables" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "unclosed" not in ended.stderr


def test_finding_out_makes_nothing() -> None:
    name = f"kpt{os.getpid()}"
    netns.create(name)
    try:
        with netns.entered(name):
            for family in Family:
                NftablesBackend(RuleSettings(family)).close()
            nft = Nft()
            assert nft.run("list ruleset") == ""
            with pytest.raises(NftError):
                nft.check("add rule ip nowhere nothing accept")
            nft.check("add table ip somewhere")
            assert nft.run("list ruleset") == ""
            nft.close()
    finally:
        netns.delete(name)
