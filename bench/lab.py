"""The lab's figures: how soon a cluster works, what it weighs, how fast rules follow pods.

Run with `make bench-lab` (root). Every cluster is its own and is removed again.
"""

import asyncio
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from bench.parts.figures import figure

from kubesvc import __version__
from kubesvc.api.resources import PODS, SERVICES
from kubesvc.api.views import Pod
from kubesvc.client.rest import Client
from kubesvc.cluster.processes import proportional_memory
from kubesvc.testing.cluster import Cluster

RUNS = 7
ENDPOINT_SAMPLES = 20
MIB = 1024 * 1024
SETTLE_SECONDS = 3.0
_STAGES = {"network": "network_made", "api": "api_answering", "nodes": "nodes_ready", "dns": "dns_answering"}

WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, image: kubesvc/echo}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-svc}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: client, image: kubesvc/host}]}
"""


def main() -> int:
    if os.geteuid() != 0:
        print("error: the lab's clusters need root\nhint:  sudo make bench-lab", file=sys.stderr)
        return 4
    kubectl = "kubectl" if shutil.which("kubectl") else "kubesvc"
    print(f"# {platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    print(f"# kubesvc {__version__}, {RUNS} starts, {ENDPOINT_SAMPLES} pods; objects applied with {kubectl}")
    start_up()
    memory()
    asyncio.run(endpoints())
    return 0


def start_up() -> None:
    """Medians over several starts of what a person types, stage by stage."""
    stages: dict[str, list[float]] = {}
    for _ in range(RUNS):
        for stage, seconds in one_start():
            stages.setdefault(stage, []).append(seconds)
    targets = {"service_answering": "<= 2"}
    for stage, values in stages.items():
        figure(f"lab.{stage}", statistics.median(values), "s", targets.get(stage, ""))
    figure("lab.service_answering_worst", max(stages["service_answering"]), "s")


def one_start() -> Iterator[tuple[str, float]]:
    """`kubesvc up`, then a web pod, a Service and a client by one apply, then curl by name from the client."""
    cluster = Cluster(durability="disk")  # as a person's cluster is
    began = time.perf_counter()
    with cluster:
        up = time.perf_counter() - began
        for stage, seconds in cluster.up_stages():
            yield _STAGES[stage], seconds
        yield "up_returns", up
        cluster.apply(WEB)
        yield "objects_applied", time.perf_counter() - began
        cluster.kubectl("wait", "pod/client", "--for=condition=Ready")
        cluster.exec("client", "sh", "-c", "until curl -fsS -o /dev/null http://web-svc; do :; done")
        yield "service_answering", time.perf_counter() - began


def memory() -> None:
    """The proportional set size of all processes of a one-node cluster at rest, its DNS pod apart."""
    with Cluster() as cluster:
        time.sleep(SETTLE_SECONDS)
        sizes = {name: proportional_memory(pid) / MIB for name, pid in members(cluster.name)}
    pods = sum(size for name, size in sizes.items() if name.startswith("kubesvc-pod"))
    figure("lab.memory_pss", sum(sizes.values()) - pods, "MiB", "<= 150")
    figure("lab.memory_pss_with_dns_pod", sum(sizes.values()), "MiB", "<= 150")
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"#   {size:6.1f} MiB {name}")


def members(name: str) -> Iterator[tuple[str, int]]:
    """Every process that descends from this cluster's `up`, pods' included."""
    mark = f"KUBESVC_TEST_CLUSTER={name}".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdecimal() or int(entry) == os.getpid():
            continue
        try:
            if mark in Path("/proc", entry, "environ").read_bytes():
                comm = Path("/proc", entry, "comm").read_text().strip()
                yield f"{comm} {entry}", int(entry)
        except OSError:
            continue


async def endpoints() -> None:
    """From a change that the API tells its watchers of, to the rules in the kernel of the node."""
    cluster = Cluster()
    await asyncio.to_thread(cluster.up)
    try:
        async with Client.from_kubeconfig(cluster.kubeconfig) as client:
            spec = {"selector": {"app": "sample"}, "ports": [{"port": 80, "targetPort": 8080}]}
            document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "sample"}, "spec": spec}
            await client.create(SERVICES, document, namespace="default")
            entering, leaving = await sample_pods(cluster, client)
    finally:
        await asyncio.to_thread(cluster.down)
    for name, values in (("pod_enters_rules", entering), ("pod_leaves_rules", leaving)):
        figure(f"lab.{name}_p50", statistics.median(values) * 1000, "ms", "<= 100")
        figure(f"lab.{name}_worst", max(values) * 1000, "ms", "<= 100")


async def sample_pods(cluster: Cluster, client: Client) -> tuple[list[float], list[float]]:
    entering: list[float] = []
    leaving: list[float] = []
    async with rules_of(cluster) as lines:
        for number in range(ENDPOINT_SAMPLES):
            name = f"sample-{number}"
            known = asyncio.create_task(until_ready(client, name))
            await client.create(PODS, sample_pod(name), namespace="default")
            ready_at, address = await known
            entering.append(max(0.0, await lines.seen("add", address) - ready_at))
            gone = asyncio.create_task(until_deleting(client, name))
            await client.delete(PODS, name, namespace="default")
            leaving.append(max(0.0, await lines.seen("delete", address) - await gone))
    return entering, leaving


def sample_pod(name: str) -> dict[str, Any]:
    container = {"name": "echo", "image": "kubesvc/echo", "env": [{"name": "DRAIN_SECONDS", "value": "0"}]}
    metadata = {"name": name, "labels": {"app": "sample"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


async def until_ready(client: Client, name: str) -> tuple[float, str]:
    """When a watcher of the API learns that the pod is ready, and the pod's address."""
    async for pod in follow(client, name):
        if any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ()):
            return time.perf_counter(), pod.status.pod_ip
    raise RuntimeError(f"the watch of pod {name} ended")


async def until_deleting(client: Client, name: str) -> float:
    """When a watcher of the API learns that the pod is to go."""
    async for pod in follow(client, name):
        if pod.metadata.deletion_timestamp:
            return time.perf_counter()
    raise RuntimeError(f"the watch of pod {name} ended")


async def follow(client: Client, name: str) -> AsyncIterator[Pod]:
    async with client.watch(PODS, namespace="default", field_selector=f"metadata.name={name}") as events:
        async for event in events:
            if event.type != "BOOKMARK":
                yield msgspec.json.decode(event.object, type=Pod)


class RuleLines:
    """What `nft monitor` reports, each line with the moment it came."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream

    async def seen(self, verb: str, address: str) -> float:
        """The moment of the next addition or removal of an element that leads to `address`."""
        pattern = re.compile(rf"^{verb} element .*\b{re.escape(address)}\b")
        async with asyncio.timeout(10):
            while True:
                line = (await self._stream.readline()).decode()
                if pattern.search(line):
                    return time.perf_counter()


@asynccontextmanager
async def rules_of(cluster: Cluster) -> AsyncIterator[RuleLines]:
    netns = cluster.node_netns("node-1")
    monitor = await asyncio.create_subprocess_exec(
        "ip", "netns", "exec", netns, "nft", "monitor", stdout=subprocess.PIPE, limit=1 << 24
    )
    assert monitor.stdout is not None
    try:
        yield RuleLines(monitor.stdout)
    finally:
        monitor.kill()
        await monitor.wait()


if __name__ == "__main__":
    sys.exit(main())
