"""Whether a cluster works, seen from outside: the API answers, nodes are ready, names resolve on every node.

A DNS query sent inside a node's namespace to the cluster's DNS address is the honest test: it is
answered only when kube-dns has a ready pod *and* that node's rules for it are in force.
"""

import contextlib
import http.client
import json
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kubesvc.cluster.ledger import Ledger, StateDirectory
from kubesvc.cluster.topology import CLUSTER_DNS, CLUSTER_DOMAIN, NodeSite
from kubesvc.linux import netns

_DNS_SLICES = (
    "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"
    "?labelSelector=kubernetes.io/service-name%3Dkube-dns"
)
_INTERVAL = 0.01
_PROBE_NAME = f"kubernetes.default.svc.{CLUSTER_DOMAIN}"


class NotReady(Exception):
    """The deadline passed; the message names the first thing that is missing."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How the waiting command talks to the API."""

    port: int
    ca: Path
    token: str


def credentials(state: StateDirectory, ledger: Ledger) -> Credentials:
    document = json.loads(state.kubeconfig("admin").read_text())
    return Credentials(ledger.api_port, state.pki / "ca.crt", document["users"][0]["user"]["token"])


class ApiProbe:
    """A small blocking client over one kept connection; a failed request is an absent answer."""

    def __init__(self, access: Credentials) -> None:
        self._access = access
        self._context = ssl.create_default_context(cafile=str(access.ca))
        self._connection: http.client.HTTPSConnection | None = None

    def get(self, path: str, *, timeout: float) -> bytes | None:
        """The body of a 200 answer, else None."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPSConnection(
                    "127.0.0.1", self._access.port, timeout=timeout, context=self._context
                )
            self._connection.request("GET", path, headers={"Authorization": f"Bearer {self._access.token}"})
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        return body if response.status == 200 else None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def wait_until_ready(
    state: StateDirectory,
    ledger: Ledger,
    *,
    deadline: float,
    stage: Callable[[str], None],
    alive: Callable[[], None],
) -> None:
    """Return when the cluster is ready; calls `stage` as each part is reached.

    `alive` is called between attempts and may raise when waiting has become pointless. Raises
    NotReady when the monotonic `deadline` passes.
    """
    probe = ApiProbe(credentials(state, ledger))
    try:
        _until(lambda: probe.get("/readyz", timeout=2.0) is not None, deadline, alive, "the API does not answer")
        stage("api")
        wanted = {node.name for node in ledger.topology.nodes}
        _until(lambda: wanted <= _ready_nodes(probe), deadline, alive, "not every node is ready")
        stage("nodes")
        try:
            _until(lambda: _has_dns(probe), deadline, alive, "the cluster DNS is not ready")
            _wait_for_dns(ledger.topology.nodes, deadline, alive)
        except NotReady as err:
            reason = _last_warning(probe)
            raise NotReady(f"{err} ({reason})" if reason else str(err)) from err
        stage("dns")
    finally:
        probe.close()


def is_ready(state: StateDirectory, ledger: Ledger) -> bool:
    """One look at everything, within about a second."""
    try:
        wait_until_ready(state, ledger, deadline=time.monotonic() + 1.0, stage=lambda _name: None, alive=lambda: None)
    except (NotReady, OSError):
        return False
    return True


def _until(done: Callable[[], bool], deadline: float, alive: Callable[[], None], missing: str) -> None:
    while not done():
        if time.monotonic() > deadline:
            raise NotReady(missing)
        alive()
        time.sleep(_INTERVAL)


def _ready_nodes(probe: ApiProbe) -> set[str]:
    body = probe.get("/api/v1/nodes", timeout=2.0)
    if body is None:
        return set()
    items: list[dict[str, Any]] = json.loads(body).get("items") or []
    return {item["metadata"]["name"] for item in items if _is_node_ready(item)}


def _is_node_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _has_dns(probe: ApiProbe) -> bool:
    """Whether it has a ready endpoint. Asking any sooner would not only be in vain: a node is told of five packets
    without a way, and then of one a second (Linux' ip_error), and the DNS's first connections need these words."""
    body = probe.get(_DNS_SLICES, timeout=2.0)
    slices: list[dict[str, Any]] = json.loads(body).get("items") or [] if body is not None else []
    return any(
        endpoint.get("conditions", {}).get("ready") for slice_ in slices for endpoint in slice_.get("endpoints") or []
    )


def _wait_for_dns(nodes: Sequence[NodeSite], deadline: float, alive: Callable[[], None]) -> None:
    for node in nodes:
        missing = f"cluster DNS does not answer on {node.name}"
        _until(partial(_dns_answers, node), deadline, alive, missing)


def _last_warning(probe: ApiProbe) -> str:
    """What was last said to be wrong with the DNS's own objects, or ""."""
    body = probe.get("/api/v1/namespaces/kube-system/events", timeout=2.0)
    events: list[dict[str, Any]] = json.loads(body).get("items") or [] if body is not None else []
    warnings = [event for event in events if event.get("type") == "Warning"]
    if not warnings:
        return ""
    last = max(warnings, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    about = last["involvedObject"]
    return f"{about['kind']} {about['name']}: {last['message']}"


def _dns_answers(node: NodeSite, wait: float = 0.02) -> bool:
    """Ask from inside the node. A fresh source port each time: an old flow would keep its old fate."""
    with contextlib.suppress(OSError):
        with netns.entered(node.netns):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with sock:
            identity = os.urandom(2)
            sock.connect((str(CLUSTER_DNS), 53))
            sock.send(_query(_PROBE_NAME, identity))
            if select.select([sock], [], [], wait)[0]:
                return _is_answer(sock.recv(512), identity)
    return False


def _query(name: str, identity: bytes) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    # One question, recursion desired; type A, class IN (RFC 1035, section 4.1).
    return identity + struct.pack("!5H", 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def _is_answer(message: bytes, identity: bytes) -> bool:
    """A response to our query with rcode 0 and at least one answer."""
    if len(message) < 12 or message[:2] != identity:
        return False
    flags, _, answers = struct.unpack_from("!3H", message, 2)
    return bool(flags & 0x8000) and flags & 0xF == 0 and answers > 0
