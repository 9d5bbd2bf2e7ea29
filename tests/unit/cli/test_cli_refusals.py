"""What `up`, `demo` and their like refuse before they touch anything, and what they advise."""

import argparse
import errno
import os
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from kubesvc.cli.demo.log_ends import log_ends
from kubesvc.cli.demo.stage import without_hints
from kubesvc.cli.describing import describe_object
from kubesvc.cli.exits import PRIVILEGE, Refusal
from kubesvc.cli.failures import explain
from kubesvc.cli.flags import require_root
from kubesvc.cli.main import main
from kubesvc.cli.trace import netns_of
from kubesvc.cluster.topology import Topology
from kubesvc.proxy.backend import BackendError


@pytest.mark.parametrize("words", [["up", "--nodes", "0"], ["demo", "--nodes", "many"], ["up", "--nodes", "101"]])
def test_a_number_of_nodes_that_is_none_is_a_usage_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert f"argument --nodes: '{words[2]}': want 1 to 100" in capsys.readouterr().err


def test_one_network_for_two_uses_is_told_of_both_flags(capsys: pytest.CaptureFixture[str]) -> None:
    same = "10.89.7.0/24"
    assert main(["up", "--node-network", same, "--load-balancer-pool", same]) == 2
    assert f"--node-network and --load-balancer-pool name the same network, {same}" in capsys.readouterr().err


def test_who_is_not_root_gets_their_own_words_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    line = ["kubesvc", "up", "--name", "two words"]
    with pytest.raises(Refusal) as refused:
        require_root("kubesvc up", argparse.Namespace(line=line))
    assert (refused.value.hint, refused.value.code) == ("sudo kubesvc up --name 'two words'", PRIVILEGE)


@pytest.mark.parametrize(
    "words", ["up --nodes 2", "down --name x", "create cluster", "delete cluster x", "demo --keep"]
)
def test_every_command_that_needs_root_repeats_its_line(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(words.split()) == PRIVILEGE
    assert capsys.readouterr().err.endswith(f"hint:  sudo kubesvc {words}\n")


def test_a_dual_stack_service_shows_its_families() -> None:
    spec = {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"], "clusterIP": "10.96.0.5"}
    text = "\n".join(describe_object({"kind": "Service", "metadata": {"name": "web"}, "spec": spec}, []))
    assert "IP Family Policy:         PreferDualStack\nIP Families:              IPv4,IPv6\nIP:  " in text


def test_the_ends_of_the_logs_that_tell_why(tmp_path: Path) -> None:
    assert log_ends(tmp_path) == []
    (tmp_path / "dns.log").write_text("level=info msg=fine\n")
    assert log_ends(tmp_path) == ["The log of dns ends:", "  level=info msg=fine"]
    (tmp_path / "proxy.log").write_text("".join(f"line {n}\n" for n in range(9)) + "level=error msg=broken\n")
    ends = log_ends(tmp_path)
    assert ends[0] == "The log of proxy ends:"
    assert ends[-1] == "  level=error msg=broken"
    assert len(ends) == 6


def test_hints_at_a_cluster_that_will_be_gone_are_left_out() -> None:
    said = "error: x\nhint:  kubesvc status --name demo\nhint:  kubesvc doctor\n"
    assert without_hints(said, "demo") == "error: x\nhint:  kubesvc doctor\n"


def test_a_node_that_up_did_not_start_has_no_rules_to_read() -> None:
    here = Topology("x", IPv4Network("10.89.0.0/24"), IPv4Network("10.90.0.0/24"), 2)
    assert netns_of(here, "node-2") == here.nodes[1].netns
    with pytest.raises(Refusal, match="node-3, which kubesvc up did not start") as refused:
        netns_of(here, "node-3")
    assert refused.value.hint == "--node names one whose rules can be read: node-1, node-2"


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.EADDRINUSE, "ss -lntup"), (errno.EADDRNOTAVAIL, "ip address"), (errno.EIO, "doctor")]
)
def test_an_address_not_to_be_had_is_told_in_words_with_where_to_look(number: int, hint: str) -> None:
    refusal = explain(OSError(number, "cannot answer on 0.0.0.0 port 53"))
    assert refusal is not None
    assert str(refusal) == "cannot answer on 0.0.0.0 port 53"
    assert hint in refusal.hint


def test_rules_that_only_root_may_write_advise_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    refusal = explain(BackendError("nftables: table ip kubesvc-proxy: Operation not permitted"))
    assert refusal is not None
    assert (refusal.hint, refusal.code) == ("run it with sudo", PRIVILEGE)
