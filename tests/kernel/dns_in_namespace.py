"""Helper of test_dns_resolvers: run inside namespaces of its own; prints what resolvers say as JSON."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from kubesvc.client.rest import Client
from kubesvc.dns.run import DnsOptions, run
from kubesvc.testing.builders import endpoint_slice, namespace, service
from kubesvc.testing.local import LocalTransport

RESOLV_CONF = """search shop.svc.cluster.local svc.cluster.local cluster.local
nameserver 127.0.0.1
options ndots:5
"""


def alias(name: str, target: str) -> dict[str, Any]:
    return service(name, namespace="shop", cluster_ip="", type="ExternalName", externalName=target)


METRICS_PORT = 9153
# Asked by programs with a resolver of their own, which are given as arguments.
NAMES = ("web", "web.shop", "api.other", "api.other.svc.cluster.local", "ext", "crowd", "nope", "foreign.example.com")


async def queries() -> int:
    """How many the server has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", METRICS_PORT)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    page = (await reader.read()).decode()
    writer.close()
    return sum(int(line.split()[-1]) for line in page.splitlines() if line.startswith("coredns_dns_requests_total{"))


async def ask(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out, _ = await process.communicate()
    return process.returncode or 0, " ".join(out.decode().split())


def prepare(directory: Path) -> None:
    resolv_conf = directory / "resolv.conf"
    resolv_conf.write_text(RESOLV_CONF)
    # Where there is none but 127.0.0.1, the C library takes IPv4 for switched off.
    for command in (
        "ip link set lo up",
        "ip address add 192.0.2.1/32 dev lo",
        f"mount --bind {resolv_conf} /etc/resolv.conf",
    ):
        subprocess.run(command.split(), check=True)


async def main() -> dict[str, Any]:
    addresses = [f"10.1.0.{n}" for n in range(1, 61)]
    crowd = [f"10.1.{n >> 8}.{n & 255}" for n in range(1, 301)]
    api = LocalTransport(
        namespace("shop"), namespace("other"), service("web", namespace="shop", cluster_ip="10.96.0.7"),
        service("api", namespace="other", cluster_ip="10.96.0.8"),
        service("many", namespace="shop", cluster_ip="None"), endpoint_slice("many", *addresses, namespace="shop"),
        service("crowd", namespace="shop", cluster_ip="None"), endpoint_slice("crowd", *crowd, namespace="shop"),
        alias("ext", "api.other.svc.cluster.local"), alias("away", "db.example.com"),
    )  # fmt: skip
    options = DnsOptions(bind="127.0.0.1", health_port=0, ready_port=0, metrics_port=METRICS_PORT, lameduck=0)
    server = asyncio.create_task(run(options, client=Client(api)))
    async with asyncio.timeout(20):
        while (await ask("getent", "ahostsv4", "web"))[0]:
            await asyncio.sleep(0.05)
        said = {}
        for name in ("web", "web.shop", "api.other", "api.other.svc", "api.other.svc.cluster.local", "ext", "away"):
            said[name] = await ask("getent", "ahostsv4", name)
        said["nope"] = await ask("getent", "ahosts", "nope")
        said["foreign.example.com"] = await ask("getent", "ahosts", "foreign.example.com")
        said["10.96.0.7"] = await ask("getent", "hosts", "10.96.0.7")
        _, many = await ask("getent", "ahostsv4", "many")
        said["many"] = (0, str(many.count("STREAM")))
        explained = (
            "import socket\ntry: socket.getaddrinfo('foreign.example.com', 80)\nexcept OSError as e: print(e.errno)"
        )
        said["error"] = await ask(sys.executable, "-c", explained)
        for program in sys.argv[2:]:
            said[Path(program).name] = await ask(program, *NAMES)
            before = await queries()
            await ask(program, "nope", "foreign.example.com")
            said[f"{Path(program).name} queries"] = (0, str(await queries() - before))
    server.cancel()
    return said


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
    print(json.dumps(asyncio.run(main())))
