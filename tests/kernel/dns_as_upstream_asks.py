"""Helper of test_dns_upstream_names and test_dns_go: a pod's namespaces with the DNS inside; prints answers as JSON.

`names` asks what Kubernetes' own end-to-end tests ask (test/e2e/network/dns*.go), in their way;
`configuration` changes the DNS's configuration as they do; `program PATH [ARGUMENT...]` runs a program.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from kubesvc.client.rest import Client
from kubesvc.dns.run import DnsOptions, run
from kubesvc.testing.builders import endpoint_slice, namespace, service
from kubesvc.testing.local import LocalTransport

NS = "dns-1"
SEARCH = f"{NS}.svc.cluster.local svc.cluster.local cluster.local"
HTTP = {"name": "http", "port": 80, "targetPort": 8080}
PARTIAL = ("dns-test-service", f"dns-test-service.{NS}", f"dns-test-service.{NS}.svc", "kubernetes.default",
           "kubernetes.default.svc")  # fmt: skip
WHOLE = ("kubernetes.default.svc.cluster.local", f"dns-test-service.{NS}.svc.cluster.local",
         f"dns-test-service-2.{NS}.svc.cluster.local", f"dns-querier-2.dns-test-service-2.{NS}.svc.cluster.local",
         f"1kubernetes.{NS}.svc.cluster.local")  # fmt: skip
SERVICES = tuple(f"_http._tcp.{name}.{NS}.svc" for name in ("dns-test-service", "test-service-2"))
# As many as the performance test has; it asks for every twentieth.
MANY = 10_000
STUB = """. {
    hosts {
        1.1.1.1 abc.acme.local
        2.2.2.2 def.acme.local
        3.3.3.3 widget.local
        2606:4700:4700::1111 abc.acme.local
        192.0.2.123 my.test
        2001:db8::29 my.test
        192.0.2.123 foo.example.com
        4.4.4.4 notexistname.resolv.conf.local
    }
    log
}
"""
COREFILE = """.:53 {
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       upstream
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
"""
DEFAULT = COREFILE + "    reload\n}\n"
FORWARDING = COREFILE + "    forward . 127.0.0.2\n}\nacme.local:53 {\n    forward . 127.0.0.2\n}\n"
ASKED = ("abc.acme.local", "def.acme.local", "widget.local", "-x 192.0.2.123", "-x 2001:db8::29",
         "abc.acme.local AAAA", f"outside.{NS}.svc.cluster.local")  # fmt: skip


def external(name: str, target: str) -> dict[str, Any]:
    return service(name, namespace=NS, cluster_ip="", type="ExternalName", externalName=target)


def cluster() -> LocalTransport:
    def endpoint(address: str, hostname: str) -> dict[str, Any]:
        return {"addresses": [address], "hostname": hostname, "conditions": {"ready": True}}

    return LocalTransport(
        namespace("default"), namespace(NS),
        service("kubernetes", {"name": "https", "port": 443}, cluster_ip="10.96.0.1"),
        service("dns-test-service", HTTP, namespace=NS, cluster_ip="None"),
        endpoint_slice("dns-test-service", endpoint("10.244.0.5", "dns-querier-1"), port_name="http", namespace=NS),
        service("test-service-2", HTTP, namespace=NS, cluster_ip="10.96.0.20"),
        service("dns-test-service-2", HTTP, namespace=NS, cluster_ip="None"),
        endpoint_slice("dns-test-service-2", endpoint("10.244.0.6", "dns-querier-2"), port_name="http", namespace=NS),
        service("1kubernetes", namespace=NS, cluster_ip="10.96.0.40"),
        external("dns-test-service-3", "foo.example.com"), external("outside", "foo.example.com"),
    )  # fmt: skip


async def ask(*command: str) -> list[str]:
    """The lines a command says, a single space between words."""
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out, _ = await process.communicate()
    return [" ".join(line.split()) for line in out.decode().splitlines()]


async def dig(*words: str) -> list[str]:
    return await ask("dig", "+time=5", "+tries=1", *words)


@asynccontextmanager
async def serving(api: LocalTransport, **settings: Any) -> AsyncIterator[None]:
    options = DnsOptions(**({"health_port": 0, "ready_port": 0, "metrics_port": 0, "lameduck": 0.0} | settings))
    task = asyncio.create_task(run(options, client=Client(api)))
    try:
        while not any("NOERROR" in line for line in await dig(f"@{options.bind}", "cluster.local", "SOA")):
            if task.done():
                await task
            await asyncio.sleep(0.02)
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def resolve_with(directory: Path, search: str, *, options: str = "ndots:5", server: str = "127.0.0.1") -> None:
    (directory / "resolv.conf").write_text(f"search {search}\nnameserver {server}\noptions {options}\n")


async def names(directory: Path) -> dict[str, Any]:
    api, said = cluster(), dict[str, Any]()
    for n in range(MANY):
        api.put(service(f"svc-{n}", namespace=f"many-{n % 2}", cluster_ip=f"10.97.{n >> 8}.{n & 255}"))
    async with serving(api, bind="127.0.0.1"):
        for how in ("+notcp", "+tcp"):
            answer = (how, "+noall", "+answer", "+search")
            for name in (*PARTIAL, *WHOLE):
                said[f"{how} {name}"] = await dig(*answer, name, "A")
            for name in (*SERVICES, *(f"{name}.cluster.local" for name in SERVICES)):
                said[f"{how} {name}"] = await dig(*answer, name, "SRV")
            said[f"{how} PTR"] = await dig(*answer, "20.0.96.10.in-addr.arpa.", "PTR")
        for name in (*PARTIAL, *WHOLE, "dns-querier-1", f"dns-querier-1.dns-test-service.{NS}.svc.cluster.local"):
            said[f"getent {name}"] = await ask("getent", "ahostsv4", name)
        said["host"] = await ask("host", "kubernetes.default")
        said["host -t SRV"] = await ask("host", "-t", "SRV", f"{SERVICES[0]}.cluster.local")
        said["host address"] = await ask("host", "10.96.0.20")
        said["external"] = await follow_external(api)
        said["many"] = await every_twentieth(directory)
        odd = [".", "_sip._tcp.abc_d.example.com"]
        for label, searches in (
            ("odd searches", [SEARCH, *odd]),
            ("odd searches first", [*odd, SEARCH]),
            ("long searches", [SEARCH, *(f"{n:038d}.k8s.io" for n in range(1, 7))]),
        ):
            resolve_with(directory, " ".join(searches))
            said[f"dig {label}"] = await dig("+short", "+search", "kubernetes.default")
            said[f"getent {label}"] = await ask("getent", "ahostsv4", "kubernetes.default")
    return said


async def follow_external(api: LocalTransport) -> list[list[str]]:
    """An ExternalName Service that changes its target and then its type."""
    name, seen = f"dns-test-service-3.{NS}.svc.cluster.local", []
    seen.append(await dig("+short", name, "CNAME"))
    api.put(external("dns-test-service-3", "bar.example.com"))
    seen.append(await other_than(seen[-1], name, "CNAME"))
    api.put(service("dns-test-service-3", HTTP, namespace=NS, cluster_ip="10.96.0.30"))
    seen.append(await other_than([], name, "A"))
    return seen


async def other_than(old: Sequence[str], *words: str) -> list[str]:
    while (said := await dig("+short", *words)) == old:
        await asyncio.sleep(0.01)
    return said


async def every_twentieth(directory: Path) -> int:
    """How many of the Services asked for have exactly their own address."""
    batch, asked = directory / "batch", range(0, MANY, 20)
    batch.write_text("".join(f"svc-{n}.many-{n % 2}.svc.cluster.local\n" for n in asked))
    said = await dig("+short", "-f", str(batch))
    return sum(line == f"10.97.{n >> 8}.{n & 255}" for line, n in zip(said, asked, strict=True))


async def configuration(directory: Path) -> dict[str, Any]:
    """The tests of the ConfigMap: with a Corefile, and with kube-dns' own keys."""
    said = dict[str, Any]()
    stub, corefile, config = directory / "stub", directory / "Corefile", directory / "config"
    stub.write_text(STUB)
    corefile.write_text(DEFAULT)
    async with serving(LocalTransport(), bind="127.0.0.2", corefile=stub):
        async with serving(cluster(), bind="127.0.0.1", corefile=corefile):
            said["before"] = await short()
            said["Corefile"] = await changed(said["before"], lambda: corefile.write_text(FORWARDING))
            said["restored"] = await changed(said["Corefile"], lambda: corefile.write_text(DEFAULT))
        async with serving(cluster(), bind="127.0.0.1", config_dir=config):

            def write() -> None:
                config.mkdir()
                (config / "stubDomains").write_text('{"acme.local":["127.0.0.2"]}')
                (config / "upstreamNameservers").write_text('["127.0.0.2"]')

            said["kube-dns"] = await changed(said["before"], write)
            said["kube-dns restored"] = await changed(said["kube-dns"], lambda: config.rename(directory / "gone"))
        resolve_with(directory, "resolv.conf.local", options="ndots:2", server="127.0.0.2")
        said["own resolv.conf"] = await dig("+short", "+search", "notexistname")
    return said


async def short() -> dict[str, list[str]]:
    return {words: await dig("+short", *words.split()) for words in ASKED}


async def changed(before: dict[str, list[str]], change: Any) -> dict[str, list[str]]:
    change()
    os.kill(os.getpid(), signal.SIGHUP)
    await other_than(before["widget.local"], "widget.local")
    return await short()


async def program(directory: Path, *command: str) -> list[str]:
    async with serving(cluster(), bind="127.0.0.1"):
        return await ask(*command)


def prepare(directory: Path) -> None:
    resolve_with(directory, SEARCH)
    hosts = f"127.0.0.1 localhost\n10.244.0.5 dns-querier-1.dns-test-service.{NS}.svc.cluster.local dns-querier-1\n"
    (directory / "hosts").write_text(hosts)
    # Where there is none but 127.0.0.1, the C library takes IPv4 for switched off.
    for command in (
        "ip link set lo up",
        "ip address add 192.0.2.1/32 dev lo",
        f"mount --bind {directory}/resolv.conf /etc/resolv.conf",
        f"mount --bind {directory}/hosts /etc/hosts",
    ):
        subprocess.run(command.split(), check=True)


async def main(directory: Path, mode: str, *arguments: str) -> Any:
    modes: dict[str, Any] = {"names": names, "configuration": configuration, "program": program}
    async with asyncio.timeout(90):
        return await modes[mode](directory, *arguments)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))))
