"""What Kubernetes' own end-to-end DNS tests ask, with dig, host and the C library, inside a pod's namespaces.

The names and ways are those of test/e2e/network/dns.go, dns_configmap.go and dns_scale_records.go.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, or `unshare --map-root-user`, for namespaces"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("dig", "host", "getent"))), reason="dig, host or getent is not installed"
    ),
]
HELPER = Path(__file__).parent / "dns_as_upstream_asks.py"
D = "cluster.local"
FOUND = {
    "dns-test-service": f"dns-test-service.dns-1.svc.{D}. 5 IN A 10.244.0.5",
    "dns-test-service.dns-1": f"dns-test-service.dns-1.svc.{D}. 5 IN A 10.244.0.5",
    "dns-test-service.dns-1.svc": f"dns-test-service.dns-1.svc.{D}. 5 IN A 10.244.0.5",
    f"dns-test-service.dns-1.svc.{D}": f"dns-test-service.dns-1.svc.{D}. 5 IN A 10.244.0.5",
    "kubernetes.default": f"kubernetes.default.svc.{D}. 5 IN A 10.96.0.1",
    "kubernetes.default.svc": f"kubernetes.default.svc.{D}. 5 IN A 10.96.0.1",
    f"kubernetes.default.svc.{D}": f"kubernetes.default.svc.{D}. 5 IN A 10.96.0.1",
    f"dns-querier-2.dns-test-service-2.dns-1.svc.{D}":
        f"dns-querier-2.dns-test-service-2.dns-1.svc.{D}. 5 IN A 10.244.0.6",
    f"dns-test-service-2.dns-1.svc.{D}": f"dns-test-service-2.dns-1.svc.{D}. 5 IN A 10.244.0.6",
    f"1kubernetes.dns-1.svc.{D}": f"1kubernetes.dns-1.svc.{D}. 5 IN A 10.96.0.40",
    "PTR": f"20.0.96.10.in-addr.arpa. 5 IN PTR test-service-2.dns-1.svc.{D}.",
}  # fmt: skip
for _tail in ("", f".{D}"):
    FOUND[f"_http._tcp.dns-test-service.dns-1.svc{_tail}"] = (
        f"_http._tcp.dns-test-service.dns-1.svc.{D}. 5 IN SRV 0 100 80 dns-querier-1.dns-test-service.dns-1.svc.{D}."
    )
    FOUND[f"_http._tcp.test-service-2.dns-1.svc{_tail}"] = (
        f"_http._tcp.test-service-2.dns-1.svc.{D}. 5 IN SRV 0 100 80 test-service-2.dns-1.svc.{D}."
    )
HOSTS = {name: line.split()[-1] for name, line in FOUND.items() if " A " in line} | {
    "dns-querier-1": "10.244.0.5",
    f"dns-querier-1.dns-test-service.dns-1.svc.{D}": "10.244.0.5",
}
STUBBED = {
    "abc.acme.local": ["1.1.1.1"],
    "def.acme.local": ["2.2.2.2"],
    "widget.local": ["3.3.3.3"],
    "-x 192.0.2.123": ["my.test."],
    "-x 2001:db8::29": ["my.test."],
    "abc.acme.local AAAA": ["2606:4700:4700::1111"],
    f"outside.dns-1.svc.{D}": ["foo.example.com.", "192.0.2.123"],
}
UNKNOWN: dict[str, list[str]] = {name: [] for name in STUBBED} | {f"outside.dns-1.svc.{D}": ["foo.example.com."]}


def inside(directory: Path, mode: str) -> Any:
    done = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, str(HELPER), str(directory), mode],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return inside(tmp_path_factory.mktemp("names"), "names")


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return inside(tmp_path_factory.mktemp("configuration"), "configuration")


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("how", ["+notcp", "+tcp"])
def test_dig_finds_each_name_by_either_transport(said: Any, how: str, name: str) -> None:
    assert said[f"{how} {name}"] == [FOUND[name]]


@pytest.mark.parametrize("name", HOSTS)
def test_getent_finds_each_name(said: Any, name: str) -> None:
    assert [line.split()[0] for line in said[f"getent {name}"]] == [HOSTS[name]] * 3


def test_host_finds_names_services_and_addresses(said: Any) -> None:
    assert said["host"] == [f"kubernetes.default.svc.{D} has address 10.96.0.1"]
    (service,) = said["host -t SRV"]
    assert service.startswith(f"_http._tcp.dns-test-service.dns-1.svc.{D} has SRV record 0 100 80")
    assert service.endswith(f" dns-querier-1.dns-test-service.dns-1.svc.{D}.")
    assert said["host address"] == [f"20.0.96.10.in-addr.arpa domain name pointer test-service-2.dns-1.svc.{D}."]


def test_an_external_name_changes_its_target_and_becomes_a_cluster_ip(said: Any) -> None:
    assert said["external"] == [["foo.example.com."], ["bar.example.com."], ["10.96.0.30"]]


def test_each_of_ten_thousand_services_has_exactly_its_address(said: Any) -> None:
    assert said["many"] == 500


@pytest.mark.parametrize("searches", ["odd searches", "odd searches first", "long searches"])
def test_search_lists_may_be_long_and_hold_dots_and_underscores(said: Any, searches: str) -> None:
    assert said[f"dig {searches}"] == ["10.96.0.1"]
    assert said[f"getent {searches}"][0].split()[0] == "10.96.0.1"


@pytest.mark.parametrize("way", ["Corefile", "kube-dns"])
def test_stub_domains_and_upstreams_follow_the_config_map(configured: Any, way: str) -> None:
    assert configured["before"] == UNKNOWN
    assert configured[way] == STUBBED
    assert configured["restored" if way == "Corefile" else "kube-dns restored"] == UNKNOWN


def test_a_pods_own_nameserver_and_search_list(configured: Any) -> None:
    assert configured["own resolv.conf"] == ["4.4.4.4"]
