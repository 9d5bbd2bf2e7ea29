"""The ConfigMap of kube-dns, mounted as a directory: `stubDomains` and `upstreamNameservers` in JSON.

Kubernetes' own tests, and clusters older than CoreDNS, configure the cluster's DNS with it.
"""

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec

from kubesvc.dns.nameservers import parse_upstream
from kubesvc.dns.options import DnsOptions
from kubesvc.dns.tuning import zone

_MOST_UPSTREAMS = 3
T = TypeVar("T")


class ConfigError(ValueError):
    """A directory that cannot be followed; the message begins with the file."""


def read_config_dir(directory: Path, options: DnsOptions) -> DnsOptions:
    """What the files of `directory` say over `options`; one that is not there says nothing.

    Raises ConfigError, and OSError for what is there and cannot be read.
    """
    stubs = _read(directory / "stubDomains", dict[str, list[str]], {})
    upstreams = _read(directory / "upstreamNameservers", list[str], list[str]())
    if len(upstreams) > _MOST_UPSTREAMS:
        raise ConfigError(f"{directory / 'upstreamNameservers'}: {_MOST_UPSTREAMS} servers at most")
    named = {**dict(options.stub_domains), **_checked(directory / "stubDomains", stubs)}
    _check_servers(directory / "upstreamNameservers", upstreams)
    return replace(options, stub_domains=tuple(named.items()), upstreams=tuple(upstreams) or options.upstreams)


def _read(path: Path, kind: type[T], default: T) -> T:
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return default
    try:
        return msgspec.json.decode(text, type=kind) if text.strip() else default
    except msgspec.DecodeError as err:
        raise ConfigError(f"{path}: {err}") from err


def _checked(path: Path, stubs: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    found = {}
    for name, servers in stubs.items():
        _check_servers(path, servers)
        if not servers:
            raise ConfigError(f"{path}: {name!r} has no server")
        try:
            found[zone(name)] = tuple(servers)
        except ValueError as err:
            raise ConfigError(f"{path}: {err}") from err
    return found


def _check_servers(path: Path, servers: list[str]) -> None:
    for server in servers:
        try:
            parse_upstream(server)
        except ValueError as err:
            raise ConfigError(f"{path}: {err}") from err
