"""A machine that lacks what a mode needs: said at once, with the next step."""

import os
from pathlib import Path

import pytest

from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.iptables.backend import open_iptables
from kubesvc.proxy.model import Family
from kubesvc.proxy.rules import RuleSettings


def test_missing_iptables_is_named_with_its_package() -> None:
    with pytest.raises(BackendError, match="iptables is not installed.*apt install iptables"):
        open_iptables(RuleSettings(Family.IPV4), variant="nowhere")


def test_iptables_that_cannot_do_what_it_is_asked_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("iptables-old", "iptables-old-restore", "iptables-old-save"):
        tool = tmp_path / name
        tool.write_text("#!/bin/sh\necho 'unknown option \"-w\"' >&2\nexit 2\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(BackendError, match="iptables-old: unknown option"):
        open_iptables(RuleSettings(Family.IPV4), variant="old")


def test_an_iptables_that_is_too_old_is_named_with_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("iptables-old", "iptables-old-restore", "iptables-old-save"):
        tool = tmp_path / name
        tool.write_text("#!/bin/sh\necho 'iptables v1.4.21'\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(BackendError, match=r"iptables v1\.4\.21 is too old: 1\.6\.2 or later is needed"):
        open_iptables(RuleSettings(Family.IPV4), variant="old")
