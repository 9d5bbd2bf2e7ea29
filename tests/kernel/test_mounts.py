"""Mounts, in a mount namespace of the test's own."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

_ASK = "from kubesvc.linux.mounts import is_chroot; print(is_chroot())"


def ask(*prefix: str) -> str:
    return subprocess.run([*prefix, sys.executable, "-c", _ASK], capture_output=True, text=True, check=True).stdout


def test_a_namespaces_whole_root_is_no_chroot() -> None:
    assert ask("unshare", "--mount") == "False\n"


def test_a_part_of_a_namespaces_root_is_a_chroot(tmp_path: Path) -> None:
    script = """
        mount -t tmpfs none "$0"
        for entry in /*; do
            if [ -L "$entry" ]; then cp -P "$entry" "$0"; elif [ -d "$entry" ]; then
                mkdir "$0$entry" && mount --rbind "$entry" "$0$entry"; fi
        done
        exec chroot "$0" "$@"
    """
    assert ask("unshare", "--mount", "sh", "-euc", script, str(tmp_path)) == "True\n"
