"""What a server that cannot start says, and its command line."""

import argparse
import ssl
from pathlib import Path

import pytest
from tests.unit.apiserver.world import make_options

from kubesvc.apiserver.flags import add_arguments, options_from
from kubesvc.apiserver.run import CannotStart, run
from kubesvc.cluster.pki import Site, write_pki
from kubesvc.store.sqlite import SqliteBackend

REQUIRED = [
    "--tls-cert-file=c",
    "--tls-private-key-file=k",
    "--client-ca-file=a",
    "--token-auth-file=t",
    "--service-account-signing-key-file=s",
    "--database=d",
]


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return parser.parse_args([*REQUIRED, *arguments])


def test_flags_become_options() -> None:
    options = options_from(parse("--secure-port=7443", "--service-node-port-range=31000-31999"))
    assert (options.port, options.advertise_port, options.node_port_range) == (7443, 7443, (31000, 31999))
    assert options.service_cidr == "10.96.0.0/16"


@pytest.mark.parametrize(
    "flag",
    [
        "--service-cluster-ip-range=10.0.0.1/8",
        "--service-cluster-ip-range=10.0.0.0/16,10.1.0.0/16",
        "--service-node-port-range=5",
        "--service-node-port-range=9-5",
    ],
)
def test_ranges_that_are_none_are_refused(flag: str) -> None:
    with pytest.raises(argparse.ArgumentError):
        parse(flag)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a certificate and its key where the options say."""
    write_pki(tmp_path / "pki", [Site("server", "kube-apiserver")])
    (tmp_path / "tls.crt").write_bytes((tmp_path / "pki" / "server.crt").read_bytes())
    (tmp_path / "tls.key").write_bytes((tmp_path / "pki" / "server.key").read_bytes())
    return tmp_path


async def test_a_database_in_use_is_named(directory: Path) -> None:
    backend = SqliteBackend.open(directory / "db")
    with pytest.raises(CannotStart, match=r"cannot open .*/db: database is locked") as caught:
        await run(make_options(directory, port=0))
    assert caught.value.hint.startswith("another API server runs on it")
    await backend.close()


async def test_a_file_that_is_no_database_is_left_alone(directory: Path) -> None:
    (directory / "db").write_text("something else, and precious" * 100)
    with pytest.raises(CannotStart, match="file is not a database"):
        await run(make_options(directory, port=0))
    assert (directory / "db").read_text().startswith("something else")


async def test_a_key_that_is_none_is_named(directory: Path) -> None:
    (directory / "tls.key").write_text("no key")
    with pytest.raises(CannotStart, match=r"tls\.crt and .*tls\.key are not a certificate") as caught:
        await run(make_options(directory, port=0))
    assert isinstance(caught.value.__cause__, ssl.SSLError)


async def test_tokens_that_are_none_are_named(directory: Path) -> None:
    options = make_options(directory, port=0)
    options.tokens_file.write_text("[]")
    with pytest.raises(CannotStart, match=r"tokens\.json"):
        await run(options)
