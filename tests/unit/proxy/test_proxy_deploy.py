"""What deploy/ says about the proxy is something the proxy understands."""

import argparse
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubesvc.proxy.flags import add_arguments, options_from
from kubesvc.proxy.options import Mode, ProxyOptions

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


@pytest.fixture
def manifests() -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubesvc-proxy.yaml").read_text())}


def parse(flags: list[str]) -> ProxyOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_from(parser.parse_args(flags))


def test_the_daemon_set_runs_with_its_configuration(manifests: dict[str, Any], tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(manifests["ConfigMap"]["data"]["config.yaml"])
    pod = manifests["DaemonSet"]["spec"]["template"]["spec"]
    program, command, *flags = pod["containers"][0]["command"]
    mounted = pod["containers"][0]["volumeMounts"][0]["mountPath"]
    options = parse([flag.replace(f"{mounted}/config.yaml", str(config)) for flag in flags])

    assert (program, command) == ("kubesvc", "proxy")
    assert pod["hostNetwork"]
    assert options.node_name == "$(node_name)"
    assert (options.mode, options.cluster_cidr) == (Mode.NFTABLES, "10.244.0.0/16")
    assert options.kubeconfig is None
    assert {probe["httpGet"]["port"] for probe in probes(pod)} == {10256}


def probes(pod: dict[str, Any]) -> list[dict[str, Any]]:
    container = pod["containers"][0]
    return [container["livenessProbe"], container["readinessProbe"]]


def test_the_role_allows_what_the_proxy_asks_for(manifests: dict[str, Any]) -> None:
    allowed = {
        (resource, verb)
        for rule in manifests["ClusterRole"]["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    watched = {(resource, verb) for resource in ("services", "endpointslices", "nodes") for verb in ("list", "watch")}
    read_first = {("nodes", "get"), ("services", "get")}
    assert allowed >= watched | read_first | {("events", "create"), ("events", "patch")}


def test_the_unit_starts_the_proxy() -> None:
    lines = (DEPLOY / "kubesvc-proxy.service").read_text().splitlines()
    start = next(line.partition("=")[2] for line in lines if line.startswith("ExecStart="))
    program, command, *flags = shlex.split(start)
    assert (Path(program).name, command) == ("kubesvc", "proxy")
    assert parse([flag for flag in flags if not flag.startswith("$")]).kubeconfig == Path("/etc/kubesvc/kubeconfig")
