"""The flags of `kubesvc controllers`."""

import argparse
from pathlib import Path

import pytest

from kubesvc.controllers.flags import add_arguments, options_from
from kubesvc.controllers.run import ControllersOptions


def parse(*words: str) -> ControllersOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_from(parser.parse_args(["--kubeconfig", "k", "--cluster-ca", "ca", *words]))


def test_without_more_there_is_no_load_balancer_provider() -> None:
    assert parse() == ControllersOptions(Path("k"), Path("ca"), "", "10.244.0.0/16")


def test_networks_are_read() -> None:
    options = parse("--load-balancer-pool", "192.0.2.0/24", "--cluster-cidr", "10.0.0.0/8")
    assert (options.load_balancer_pool, options.cluster_cidr) == ("192.0.2.0/24", "10.0.0.0/8")


def test_what_is_no_network_is_a_usage_error_that_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse("--load-balancer-pool", "192.0.2.300/24")
    assert stop.value.code == 2
    assert "'192.0.2.300/24' is not a network" in capsys.readouterr().err


def test_where_the_metrics_are_is_an_address_or_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse().metrics_bind == "127.0.0.1:10257"
    assert parse("--metrics-bind-address", "").metrics_bind == ""
    assert parse("--metrics-bind-address", "[::1]:0").metrics_bind == "[::1]:0"
    with pytest.raises(SystemExit):
        parse("--metrics-bind-address", "10257")
    assert "'10257' is not an address" in capsys.readouterr().err
