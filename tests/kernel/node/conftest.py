"""A node of its own for every test: a network namespace, an API in memory, an agent."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubesvc.api.resources import EVENTS, PODS
from kubesvc.client import Client
from kubesvc.linux import libc, netns
from kubesvc.linux.netlink import RouteSocket
from kubesvc.node.images import BUILTINS
from kubesvc.node.options import NodeOptions
from kubesvc.node.purge import purge
from kubesvc.node.run import run_agent
from kubesvc.node.runtime.spawner import Spawner
from kubesvc.testing.local import LocalTransport

NODE_IP = "10.89.0.11"
TOKEN = "kubelet-token"
Document = dict[str, Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.kernel)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root to make namespaces: run the tests with sudo"))


@pytest.fixture
def node_netns() -> Iterator[str]:
    """A namespace that looks like a node's, with this thread in it."""
    name = f"kt-node-{os.getpid()}"
    netns.delete(name)
    netns.create(name)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    inside = netns.open_netns(name)
    try:
        libc.setns(inside, libc.CLONE_NEWNET)
        with RouteSocket() as route:
            route.link_add_veth("eth0", "eth0peer")
            route.link_set("eth0peer", up=True)
            route.link_set("eth0", up=True)
            route.address_add("eth0", f"{NODE_IP}/24")
        yield name
    finally:
        libc.setns(home, libc.CLONE_NEWNET)
        os.close(home)
        os.close(inside)
        netns.delete(name)


@dataclass
class NodeWorld:
    """One node under test: the API's side of it, and the files."""

    api: LocalTransport
    options: NodeOptions
    client: Client
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start_agent(self) -> asyncio.Task[None]:
        spawner = Spawner.fork(self.options.builtins)

        async def main() -> None:
            try:
                await run_agent(self.options, spawner, self.client)
            finally:
                spawner.close()

        task = asyncio.create_task(main(), name="agent")
        self.tasks.append(task)
        return task

    async def stop_agent(self) -> None:
        for task in self.tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.tasks.clear()

    async def until(self, condition: Callable[[], Any], *, seconds: float = 10.0) -> Any:
        """The first true value of `condition`, tried whenever anything happens; TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            while True:
                for task in self.tasks:
                    if task.done():
                        task.result()
                if value := condition():
                    return value
                await asyncio.sleep(0.003)

    def pod(self, name: str) -> Document | None:
        return self.api.document(PODS, name, "default")

    def status(self, name: str) -> Document:
        return dict((self.pod(name) or {}).get("status", {}))

    def container(self, name: str) -> Document:
        statuses = self.status(name).get("containerStatuses") or [{}]
        return dict(statuses[0])

    def ready(self, name: str) -> bool:
        conditions = {c["type"]: c["status"] for c in self.status(name).get("conditions", [])}
        return conditions.get("Ready") == "True"

    def events(self, name: str) -> list[tuple[str, str]]:
        found = [e for e in self.api.documents(EVENTS) if e["involvedObject"]["name"] == name]
        return [(e["reason"], e["message"]) for e in found]

    async def run_pod(self, document: Document) -> str:
        """Create it, wait until it is ready, return its address."""
        self.api.put(document)
        name = document["metadata"]["name"]
        await self.until(lambda: self.ready(name))
        return str(self.status(name)["podIP"])

    async def delete(self, name: str, grace: int | None = None) -> None:
        await self.client.delete(PODS, name, namespace="default", grace_seconds=grace)

    def shims(self) -> list[Path]:
        return sorted((self.options.state_dir / "pods").glob("*/sandbox.json"))

    def session(self) -> aiohttp.ClientSession:
        """A client of the node's own API, as the API server is one."""
        context = ssl.create_default_context(cafile=str(self.options.tls_cert))
        return aiohttp.ClientSession(
            base_url=f"https://{NODE_IP}:{self.options.kubelet_port}",
            connector=aiohttp.TCPConnector(ssl=context),
            headers={"Authorization": f"Bearer {TOKEN}"},
        )


def pod(name: str, **changes: Any) -> Document:
    """A pod of one echo container; `container` changes that, everything else the spec."""
    container = {"name": "main", "image": "kubesvc/echo", **changes.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {
            "nodeName": "node-1",
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 5,
            "containers": [container],
            **changes,
        },
    }


def shell(script: str, **changes: Any) -> Document:
    """A container that runs a shell script of this machine."""
    return {"image": "kubesvc/host", "command": ["sh", "-c", script], **changes}


@pytest.fixture(name="pod")
def _pod() -> Callable[..., Document]:
    return pod


@pytest.fixture(name="shell")
def _shell() -> Callable[..., Document]:
    return shell


@pytest.fixture
async def world(node_netns: str, tmp_path: Path) -> AsyncIterator[NodeWorld]:
    """A running agent on a node of its own; nothing of it is left afterwards."""
    world = await make_world(tmp_path)
    await world.start_agent()
    yield world
    await world.stop_agent()
    purge(world.options.state_dir)


@pytest.fixture
async def idle_world(node_netns: str, tmp_path: Path) -> AsyncIterator[NodeWorld]:
    """The same, with no agent started yet."""
    world = await make_world(tmp_path)
    yield world
    await world.stop_agent()
    purge(world.options.state_dir)


async def make_world(directory: Path) -> NodeWorld:
    certificate, key = make_certificate(directory)
    token = directory / "token"
    token.write_text(TOKEN)
    api = LocalTransport(
        _object("ServiceAccount", "default"),
        _object("ConfigMap", "kube-root-ca.crt", data={"ca.crt": "the authority"}),
        _object("Service", "kubernetes", spec={"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]}),
    )
    options = NodeOptions(
        kubeconfig=directory / "unused",
        node_name="node-1",
        node_ip=NODE_IP,
        pod_cidr="10.244.1.0/24",
        state_dir=directory / "state",
        tls_cert=certificate,
        tls_key=key,
        kubelet_token_file=token,
        builtins=BUILTINS,
    )
    return NodeWorld(api, replace(options), Client(api))


def _object(kind: str, name: str, **fields: Any) -> Document:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, **fields}


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for the node's address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node-1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(NODE_IP))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = directory / "node.crt", directory / "node.key"
    cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_path, key_path
