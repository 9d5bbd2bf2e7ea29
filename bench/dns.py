"""`make bench-dns`: the DNS server under load, with 10,000 Services and as many slices.

Runs in a network namespace of its own, against an API server that only lists and watches. The
load comes from dnsperf. Where COREDNS names a binary, it runs on the same API with the same load.
"""

import asyncio
import json
import os
import platform
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from bench.parts.figures import figure

from kubesvc.dns import wire

SERVICES = int(os.environ.get("BENCH_SERVICES", "10000"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))
NAMESPACES = 50
HEADLESS_EVERY = 5
PORT, READY_PORT = 5300, 5301
Document = dict[str, Any]


# The cluster


def name_of(n: int) -> tuple[str, str]:
    return f"svc-{n}", f"ns-{n % NAMESPACES}"


def service(n: int, version: int, second: int = 100, ip: str = "") -> Document:
    name, namespace = name_of(n)
    address = "None" if n % HEADLESS_EVERY == 0 else ip or f"10.{second}.{n >> 8 & 255}.{n & 255}"
    return {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{n}", "resourceVersion": str(version),
                     "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": name}},
        "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"],
                 "ipFamilyPolicy": "SingleStack", "selector": {"app": name}, "sessionAffinity": "None",
                 "internalTrafficPolicy": "Cluster",
                 "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}]},
        "status": {"loadBalancer": {}},
    }  # fmt: skip


def slice_(n: int, version: int, second: int) -> Document:
    name, namespace = name_of(n)
    endpoints = [
        {"addresses": [f"10.{(second + k) % 256}.{n >> 8 & 255}.{n & 255}"],
         "conditions": {"ready": True, "serving": True, "terminating": False}, "nodeName": f"node-{k}",
         "targetRef": {"kind": "Pod", "namespace": namespace, "name": f"{name}-{k}", "uid": f"pod-{n}-{k}"}}
        for k in range(3)
    ]  # fmt: skip
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": f"{name}-abcde", "namespace": namespace, "uid": f"slice-{n}",
                     "resourceVersion": str(version), "labels": {"kubernetes.io/service-name": name}},
        "endpoints": endpoints, "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
    }  # fmt: skip


class Api:
    """Lists and watches, nothing else."""

    def __init__(self) -> None:
        self.version = 1
        self.reload()
        self.watchers: dict[str, list[asyncio.Queue[bytes | None]]] = {"services": [], "endpointslices": []}

    def reload(self, *, moved: bool = False) -> None:
        """A new version of everything; `moved` has it at new addresses, so that every answer is another."""
        self.version += 1
        second = 150 if moved else 100
        self.objects = {
            "services": [json.dumps(service(n, self.version, second)).encode() for n in range(SERVICES)],
            "endpointslices": [json.dumps(slice_(n, self.version, 2 * second)).encode() for n in range(SERVICES)],
            "namespaces": [
                json.dumps({"kind": "Namespace", "apiVersion": "v1",
                            "metadata": {"name": f"ns-{n}", "resourceVersion": "1"}}).encode()
                for n in range(NAMESPACES)
            ],
        }  # fmt: skip

    def send(self, resource: str, type_: str, obj: bytes) -> None:
        for queue in self.watchers[resource]:
            queue.put_nowait(b'{"type":"%s","object":%s}\n' % (type_.encode(), obj))

    def force_relist(self) -> None:
        """End every watch with 410 Gone."""
        gone = b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"message":"old"}'
        for resource in self.watchers:
            self.send(resource, "ERROR", gone)
            for queue in self.watchers[resource]:
                queue.put_nowait(None)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        resource = request.path.rsplit("/", 1)[-1]
        if resource not in self.objects:
            return web.json_response({"kind": "Status", "code": 404, "reason": "NotFound"}, status=404)
        if request.query.get("watch"):
            return await self._watch(request, resource)
        objects = self.objects[resource]
        start = int(request.query.get("continue") or 0)
        page = objects[start : start + int(request.query.get("limit") or len(objects))]
        end = start + len(page)
        meta: Document = {"resourceVersion": str(self.version)} | (
            {"continue": str(end)} if end < len(objects) else {}
        )  # fmt: skip
        kind = {"services": "ServiceList", "endpointslices": "EndpointSliceList", "namespaces": "NamespaceList"}[
            resource
        ]
        version = "discovery.k8s.io/v1" if resource == "endpointslices" else "v1"
        head = f'{{"kind":"{kind}","apiVersion":"{version}","metadata":{json.dumps(meta)},"items":['
        return web.Response(body=head.encode() + b",".join(page) + b"]}", content_type="application/json")

    async def _watch(self, request: web.Request, resource: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        if resource in self.watchers:
            self.watchers[resource].append(queue)
        try:
            if request.query.get("sendInitialEvents") == "true":
                await self._send_initial(response, resource)
            while (frame := await queue.get()) is not None:
                await response.write(frame)
        except ConnectionResetError:
            pass
        finally:
            if resource in self.watchers:
                self.watchers[resource].remove(queue)
        return response

    async def _send_initial(self, response: web.StreamResponse, resource: str) -> None:
        objects = self.objects[resource]
        for at in range(0, len(objects), 200):
            await response.write(b"".join(b'{"type":"ADDED","object":%s}\n' % o for o in objects[at : at + 200]))
        mark = {"type": "BOOKMARK", "object": {
            "metadata": {"resourceVersion": str(self.version), "annotations": {"k8s.io/initial-events-end": "true"}}
        }}  # fmt: skip
        await response.write(json.dumps(mark).encode() + b"\n")


@asynccontextmanager
async def api_server() -> AsyncIterator[tuple[Api, int]]:
    api = Api()
    app = web.Application()
    app.router.add_get("/{path:.*}", api.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 6400)
    await site.start()
    try:
        yield api, 6400
    finally:
        await runner.cleanup()


# The load


def queries(path: Path, count: int = 20_000) -> None:
    """Mixed as a cluster asks: hits, SRV, headless, NODATA and what the search list makes of foreign names."""
    draw = random.Random(1)
    with path.open("w") as file:
        for _ in range(count):
            n = draw.randrange(SERVICES)
            headless, plain = n - n % HEADLESS_EVERY, n if n % HEADLESS_EVERY else n - n % HEADLESS_EVERY + 1
            name, namespace = name_of(plain % SERVICES)
            headless_name = ".".join(name_of(headless))
            kind = draw.choices(("a", "aaaa", "srv", "headless", "headless-srv", "nx"), (40, 10, 15, 15, 5, 15))[0]
            file.write(
                {
                    "a": f"{name}.{namespace}.svc.cluster.local A\n",
                    "aaaa": f"{name}.{namespace}.svc.cluster.local AAAA\n",
                    "srv": f"_http._tcp.{name}.{namespace}.svc.cluster.local SRV\n",
                    "headless": f"{headless_name}.svc.cluster.local A\n",
                    "headless-srv": f"_http._tcp.{headless_name}.svc.cluster.local SRV\n",
                    "nx": f"host-{n}.example.com.{namespace}.svc.cluster.local A\n",
                }[kind]
            )


async def dnsperf(path: Path, *args: str, seconds: float = SECONDS) -> str:
    process = await asyncio.create_subprocess_exec(
        "dnsperf", "-s", "127.0.0.1", "-p", str(PORT), "-d", str(path), "-l", str(seconds), *args,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return out.decode()


def rate_of(out: str) -> float:
    return float(next(line for line in out.splitlines() if "Queries per second" in line).split()[-1])


def completed(out: str) -> int:
    return int(next(line for line in out.splitlines() if "Queries completed" in line).split()[2])


def latencies(out: str) -> list[float]:
    """Milliseconds per query, from dnsperf -v."""
    return sorted(float(line.split()[-1]) * 1000 for line in out.splitlines() if line.startswith("> "))


# The server


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = [int(c) for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
    return [pid, *children]


def cpu_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pids: list[int]) -> float:
    """Proportional set size."""
    return sum(
        int(line.split()[1])
        for pid in pids
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    ) / 1024  # fmt: skip


def memory_alone_mb(pids: list[int]) -> float:
    """What they would take where nothing else runs the same interpreter and libraries: each file counted once."""
    anonymous, files = 0, dict[str, int]()
    for pid in pids:
        own: Counter[str] = Counter()
        for mapping in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{pid}/smaps").read_text(), flags=re.M)[1:]:
            head, _, rest = mapping.partition("\n")
            sizes = {line.split(":")[0]: int(line.split()[1]) for line in rest.splitlines() if line.endswith(" kB")}
            anonymous += sizes["Anonymous"]
            own[" ".join(head.split()[5:])] += sizes["Rss"] - sizes["Anonymous"]
        files |= {file: max(size, files.get(file, 0)) for file, size in own.items()}
    return (anonymous + sum(files.values())) / 1024


SERVER = """
import asyncio, sys, argparse
from kubesvc import observe
from kubesvc.aio.runner import run_until_signal
from kubesvc.dns import flags, run
parser = argparse.ArgumentParser()
flags.add_arguments(parser)
observe.configure("dns", "warning")
asyncio.run(run_until_signal(run.run(flags.options_from(parser.parse_args())), name="dns"))
"""


@asynccontextmanager
async def server(kubeconfig: Path, *flags: str) -> AsyncIterator[tuple[int, float]]:
    """Start the server; its PID and the seconds it took until /ready said so."""
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, "--kubeconfig", str(kubeconfig), "--bind", "127.0.0.1", "--port", str(PORT),
        "--ready-port", str(READY_PORT), "--health-port", "0", "--metrics-port", "5302", "--lameduck", "0", *flags,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},  # as in deploy/dns.yaml
    )  # fmt: skip
    try:
        while not await is_ready(READY_PORT, "/ready"):
            await asyncio.sleep(0.005)
        yield process.pid, time.perf_counter() - begin
    finally:
        process.terminate()
        await process.wait()


async def is_ready(port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return b" 200 " in answer.partition(b"\r\n")[0]


async def event_to_answer(api: Api, samples: int = 200) -> list[float]:
    """Milliseconds from writing a watch event to an answer that shows it."""
    n = 7
    query = wire.encode_query(1, wire.name_from_text(".".join((*name_of(n), "svc.cluster.local"))), wire.Type.A)
    loop, taken = asyncio.get_running_loop(), []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect(("127.0.0.1", PORT))
        for sample in range(samples):
            address = bytes((10, 9, sample >> 8, sample & 255))
            api.version += 1
            changed = json.dumps(service(n, api.version, ip=".".join(map(str, address)))).encode()
            begin = time.perf_counter()
            api.send("services", "MODIFIED", changed)
            while True:
                await loop.sock_sendall(sock, query)
                if address in await loop.sock_recv(sock, 512):
                    break
            taken.append((time.perf_counter() - begin) * 1000)
            await asyncio.sleep(0.002)
    return taken


async def measure_ours(api: Api, kubeconfig: Path, load: Path) -> None:
    async with server(kubeconfig, "--workers", "1") as (pid, ready):
        figure("dns.start_to_ready", ready, "s", "<= 1.5")
        worker = family(pid)[1:]
        figure("dns.memory_at_start", memory_mb(family(pid)), "MB", "<= 80")
        await dnsperf(load, "-c", "8", seconds=2)
        before = cpu_seconds(worker)
        out = await dnsperf(load, "-c", "8")
        figure("dns.queries_per_second", rate_of(out), "q/s", ">= 60000")
        figure("dns.cpu_per_query", (cpu_seconds(worker) - before) / completed(out) * 1e6, "us", "<= 12")
        out = await dnsperf(load, "-c", "8", "-m", "tcp")
        figure("dns.tcp_queries_per_second", rate_of(out), "q/s", ">= 20000")
        quiet = latencies(await dnsperf(load, "-c", "8", "-Q", "2000", "-v"))
        figure("dns.p99_at_2000", quiet[len(quiet) * 99 // 100], "ms", "<= 1")
        for moved, when in ((False, "during_relist"), (True, "while_every_name_changes")):
            if moved:
                figure("dns.memory", memory_mb(family(pid)), "MB", "<= 80")
            api.reload(moved=moved)
            task = asyncio.create_task(dnsperf(load, "-c", "8", "-Q", "2000", "-v"))
            await asyncio.sleep(1)
            api.force_relist()
            busy = latencies(await task)
            figure(f"dns.p99_at_2000_{when}", busy[len(busy) * 99 // 100], "ms", "<= 1")
            figure(f"dns.max_at_2000_{when}", busy[-1], "ms", "")
        taken = await event_to_answer(api)
        figure("dns.event_to_answer_p50", statistics.median(taken), "ms", "<= 2")
        figure("dns.event_to_answer_p99", sorted(taken)[len(taken) * 99 // 100], "ms", "")
        figure("dns.memory_after_every_name_changed", memory_mb(family(pid)), "MB", "<= 80")
        figure("dns.memory_were_it_alone", memory_alone_mb(family(pid)), "MB", "<= 80")
        figure("dns.memory_of_worker", memory_mb(worker), "MB", "")
    async with server(kubeconfig) as (pid, ready):
        figure("dns.one_process.start_to_ready", ready, "s", "")
        await dnsperf(load, "-c", "8", seconds=2)
        figure("dns.one_process.queries_per_second", rate_of(await dnsperf(load, "-c", "8")), "q/s", "")
        figure("dns.one_process.memory", memory_mb([pid]), "MB", "")


COREFILE = """.:{port} {{
    bind 127.0.0.1
    errors
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig} bench
        pods insecure
        ttl 30
    }}
    prometheus 127.0.0.1:5303
    cache 30
    loadbalance
}}
"""


async def measure_coredns(binary: str, kubeconfig: Path, load: Path, directory: Path) -> None:
    corefile = directory / "Corefile"
    corefile.write_text(COREFILE.format(port=PORT, ready=READY_PORT, kubeconfig=kubeconfig))
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(binary, "-conf", str(corefile), stdout=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(60):
            while not await is_ready(READY_PORT, "/ready"):
                await asyncio.sleep(0.01)
        figure("peer.coredns.start_to_ready", time.perf_counter() - begin, "s", "")
        await dnsperf(load, "-c", "8", seconds=2)
        before = cpu_seconds([process.pid])
        out = await dnsperf(load, "-c", "8")
        figure("peer.coredns.queries_per_second", rate_of(out), "q/s", "")
        figure("peer.coredns.cpu_per_query", (cpu_seconds([process.pid]) - before) / completed(out) * 1e6, "us", "")
        figure("peer.coredns.memory", memory_mb([process.pid]), "MB", "")
    except TimeoutError:
        print("# CoreDNS did not become ready")
    finally:
        process.terminate()
        await process.wait()


def kubeconfig_document(port: int) -> Document:
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "users": [{"name": "bench", "user": {"token": "none"}}],
    }  # fmt: skip


def machine() -> Iterator[str]:
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?")
    yield f"# {os.cpu_count()} x {cpu.partition(':')[2].strip()}, kernel {platform.release()}"
    yield f"# Python {platform.python_version()}, {SERVICES} Services, {SERVICES} slices of 3, {SECONDS:g} s per run"


async def main() -> None:
    for line in machine():
        print(line)
    if shutil.which("dnsperf") is None:
        print("# dnsperf is not installed: apt-get install dnsperf")
        return
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        queries(directory / "queries")
        async with api_server() as (api, port):
            kubeconfig = directory / "kubeconfig"
            kubeconfig.write_text(json.dumps(kubeconfig_document(port)))
            await measure_ours(api, kubeconfig, directory / "queries")
            if binary := os.environ.get("COREDNS"):
                await measure_coredns(binary, kubeconfig, directory / "queries", directory)


def in_own_namespace() -> None:
    """Run this script again where nothing can leave the machine; without root in a user namespace too."""
    if os.environ.get("BENCH_NETNS") == "own":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    os.execvpe("unshare", ["unshare", *user, "--net", sys.executable, *sys.argv], os.environ | {"BENCH_NETNS": "own"})


if __name__ == "__main__":
    in_own_namespace()
    asyncio.run(main())
