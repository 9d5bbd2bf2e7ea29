"""kube-dns' ConfigMap, as a directory of JSON files."""

from pathlib import Path

import pytest

from kubesvc.dns.kubedns import ConfigError, read_config_dir
from kubesvc.dns.options import DnsOptions


def test_an_empty_directory_or_none_changes_nothing(tmp_path: Path) -> None:
    options = DnsOptions(upstreams=("192.0.2.1",), stub_domains=(("a.example", ("192.0.2.2",)),))
    assert read_config_dir(tmp_path, options) == options
    assert read_config_dir(tmp_path / "absent", options) == options


def test_stub_domains_and_upstreams_come_over_what_flags_say(tmp_path: Path) -> None:
    (tmp_path / "stubDomains").write_text('{"acme.local": ["1.2.3.4", "1.2.3.5:5353"], "a.example": ["192.0.2.9"]}')
    (tmp_path / "upstreamNameservers").write_text('["8.8.8.8", "8.8.4.4"]')
    before = DnsOptions(upstreams=("192.0.2.1",), stub_domains=(("a.example", ("192.0.2.2",)),))
    options = read_config_dir(tmp_path, before)
    assert dict(options.stub_domains) == {"acme.local": ("1.2.3.4", "1.2.3.5:5353"), "a.example": ("192.0.2.9",)}
    assert options.upstreams == ("8.8.8.8", "8.8.4.4")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("stubDomains", "{", "stubDomains: "),
        ("stubDomains", '["1.2.3.4"]', "stubDomains: Expected `object`"),
        ("stubDomains", '{"acme.local": []}', "stubDomains: 'acme.local' has no server"),
        ("stubDomains", '{"acme..local": ["1.2.3.4"]}', "stubDomains: "),
        ("stubDomains", '{"acme.local": ["dns.example"]}', "stubDomains: upstream 'dns.example'"),
        ("upstreamNameservers", '["dns.example"]', "upstreamNameservers: upstream 'dns.example'"),
        ("upstreamNameservers", '["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]', "upstreamNameservers: 3 servers at"),
    ],
)
def test_what_cannot_be_followed_is_named_by_its_file(tmp_path: Path, file: str, text: str, message: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config_dir(tmp_path, DnsOptions())
    assert str(caught.value).startswith(f"{tmp_path}/{message}")
