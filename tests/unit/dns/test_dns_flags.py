"""Flags, the manifest that uses them, and that every option can be reached."""

import argparse
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from kubesvc.dns.flags import add_arguments, options_from
from kubesvc.dns.options import DnsOptions, HostsOptions

ROOT = Path(__file__).parents[3]


def parse(*argv: str) -> DnsOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_from(parser.parse_args(argv))


def test_without_flags_all_is_default() -> None:
    assert parse() == DnsOptions()


def test_flags_reach_their_options(tmp_path: Path) -> None:
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 192.0.2.1\n")
    options = parse(
        "--domain", "k8s.example.", "--upstream", "192.0.2.1", "--upstream", str(resolv), "--stub-domain",
        "corp.example=192.0.2.5,192.0.2.6:5353", "--hosts", "/etc/hosts", "--workers", "2", "--pods", "verified",
    )  # fmt: skip
    assert options.domain == "k8s.example"
    assert options.upstreams == ("192.0.2.1", str(resolv))
    assert options.stub_domains == (("corp.example", ("192.0.2.5", "192.0.2.6:5353")),)
    assert options.hosts == HostsOptions(file="/etc/hosts")
    assert (options.workers, options.pods) == (2, "verified")


@pytest.mark.parametrize(
    "argv",
    [
        ("--upstream", "dns.example"),
        ("--upstream", "/nowhere/resolv.conf"),
        ("--stub-domain", "corp.example"),
        ("--corefile", "/nowhere/Corefile"),
        ("--corefile", str(Path(__file__).parent / "data" / "no_nameserver_corefile")),
        ("--pods", "some"),
    ],
)
def test_wrong_flags_are_usage_errors(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*argv)
    assert caught.value.code == 2
    assert argv[0] in capsys.readouterr().err


def test_the_manifests_arguments_are_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = list(yaml.safe_load_all((ROOT / "deploy" / "dns.yaml").read_text()))
    deployment = next(d for d in documents if d["kind"] == "Deployment")
    arguments = [a for a in deployment["spec"]["template"]["spec"]["containers"][0]["args"] if "resolv.conf" not in a]
    assert parse(*arguments).workers == 1
    assert {d["kind"] for d in documents} == {
        "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Service", "Deployment",
    }  # fmt: skip


def test_every_flag_says_what_it_is_for() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert all(action.help for action in parser._actions)
    assert {"cache", "caches", "forward", "rewrites", "reload", "reload_jitter", "ns_name"} >= {
        f.name for f in fields(DnsOptions)
    } - {{"upstream": "upstreams", "stub_domain": "stub_domains"}.get(a.dest, a.dest) for a in parser._actions}
