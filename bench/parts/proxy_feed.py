"""An API server that only lists and watches, for `bench/proxy.py`: bytes encoded before they are asked for.

    proxy_feed.py PORT SERVICES ENDPOINTS NODE

Speaks enough of the protocol for client-go too: paged lists, watch-lists (KEP-3157), bookmarks,
reads of the node, events taken and forgotten. Commands come on stdin, one a line, each answered by
one line on stdout that begins with the monotonic nanosecond just before the bytes went out:

    change SERVICE ADDRESS    replace the first endpoint's address of that Service
    burst COUNT ADDRESS       the same for Services 0 to COUNT - 1, counting up from the address
    settle SERVICE            nothing but the time: shows that the feed is idle
"""

import asyncio
import json
import sys
import time
from ipaddress import IPv4Address
from typing import Any
from urllib.parse import parse_qs, urlsplit

Document = dict[str, Any]
BATCH = 1 << 18
CRITICAL = {0: ("kubernetes", "default", "10.96.0.1"), 1: ("kube-dns", "kube-system", "10.96.0.10")}
KINDS = {
    "services": ("v1", "Service"),
    "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice"),
    "nodes": ("v1", "Node"),
    "servicecidrs": ("networking.k8s.io/v1", "ServiceCIDR"),
}


def name_of(n: int) -> tuple[str, str]:
    """Name and namespace of Service `n`; the critical ones are 0 and 1."""
    if n in CRITICAL:
        return CRITICAL[n][:2]
    return f"service-{n}", f"namespace-{n % 50}"


def cluster_ip(n: int) -> str:
    """The address of Service `n`."""
    return CRITICAL[n][2] if n in CRITICAL else str(IPv4Address("10.96.1.0") + n)


def endpoint_ip(n: int, k: int) -> str:
    """The first address of endpoint `k` of Service `n`."""
    return str(IPv4Address(f"10.{128 + k}.0.0") + n + 1)


def service(n: int, version: int) -> Document:
    """Service `n`, a ClusterIP on port 80."""
    name, namespace = name_of(n)
    return {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "uid": f"00000000-0000-4000-8000-{n:012}",
                     "resourceVersion": str(version), "creationTimestamp": "2026-01-01T00:00:00Z",
                     "labels": {"app": name}},
        "spec": {"type": "ClusterIP", "clusterIP": cluster_ip(n), "clusterIPs": [cluster_ip(n)],
                 "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "selector": {"app": name},
                 "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                 "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}]},
        "status": {"loadBalancer": {}},
    }  # fmt: skip


def slice_(n: int, version: int, addresses: list[str]) -> Document:
    """The EndpointSlice of Service `n`, as its controller writes it."""
    name, namespace = name_of(n)
    endpoints = [
        {"addresses": [address], "conditions": {"ready": True, "serving": True, "terminating": False},
         "nodeName": f"node-{k}", "zone": f"zone-{k % 3}",
         "targetRef": {"kind": "Pod", "namespace": namespace, "name": f"{name}-5d4f8c7b6-{k:05}",
                       "uid": f"10000000-0000-4000-8000-{n * 100 + k:012}"}}
        for k, address in enumerate(addresses)
    ]  # fmt: skip
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": f"{name}-abcde", "generateName": f"{name}-", "namespace": namespace,
                     "uid": f"20000000-0000-4000-8000-{n:012}", "resourceVersion": str(version),
                     "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z",
                     "labels": {"app": name, "kubernetes.io/service-name": name,
                                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
                     "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": name, "controller": True,
                                          "uid": f"00000000-0000-4000-8000-{n:012}", "blockOwnerDeletion": True}]},
        "endpoints": endpoints, "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
    }  # fmt: skip


def node(name: str) -> Document:
    """The node the proxy runs on."""
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1",
                     "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": "zone-0"}},
        "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.89.0.11"},
                                 {"type": "Hostname", "address": name}],
                   "conditions": [{"type": "Ready", "status": "True"}]},
    }  # fmt: skip


def service_cidr() -> Document:
    """The addresses that Services may have."""
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes", "uid": "uid-cidr", "resourceVersion": "1"},
        "spec": {"cidrs": ["10.96.0.0/16"]}, "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }  # fmt: skip


def encode(document: Document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def frame(type_: str, obj: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (type_.encode(), obj)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Feed:
    """The objects, their encodings, and who watches."""

    def __init__(self, services: int, endpoints: int, node_name: str) -> None:
        self.version = 10
        self.node_name = node_name
        self.addresses = [[endpoint_ip(n, k) for k in range(endpoints)] for n in range(services)]
        self.objects: dict[str, list[bytes]] = {
            "services": [encode(service(n, self.version)) for n in range(services)],
            "endpointslices": [encode(slice_(n, self.version, self.addresses[n])) for n in range(services)],
            "nodes": [encode(node(node_name))],
            "servicecidrs": [encode(service_cidr())],
        }
        self.initial = {resource: self.encode_initial(resource) for resource in self.objects}
        self.watchers: dict[str, set[asyncio.WriteTransport]] = {resource: set() for resource in self.objects}

    def encode_initial(self, resource: str) -> list[bytes]:
        """A watch-list's first part, in chunks ready to be sent."""
        chunks, batch, size = [], [], 0
        for obj in self.objects[resource]:
            batch.append(frame("ADDED", obj))
            size += len(batch[-1])
            if size > BATCH:
                chunks.append(chunk(b"".join(batch)))
                batch, size = [], 0
        batch.append(frame("BOOKMARK", self.bookmark(resource, end=True)))
        return [*chunks, chunk(b"".join(batch))]

    def bookmark(self, resource: str, *, end: bool = False) -> bytes:
        api_version, kind = KINDS[resource]
        metadata: Document = {"resourceVersion": str(self.version), "creationTimestamp": None}
        if end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        return encode({"apiVersion": api_version, "kind": kind, "metadata": metadata})

    def change(self, n: int, address: str) -> bytes:
        """The watch event that gives Service `n`'s first endpoint another address."""
        self.version += 1
        self.addresses[n][0] = address
        obj = self.objects["endpointslices"][n] = encode(slice_(n, self.version, self.addresses[n]))
        self.initial["endpointslices"] = []
        return frame("MODIFIED", obj)

    def send(self, data: bytes) -> int:
        """Give bytes to everybody who watches slices; the moment before."""
        data = chunk(data)
        now = time.monotonic_ns()
        for transport in self.watchers["endpointslices"]:
            transport.write(data)
        return now

    def page(self, resource: str, query: dict[str, list[str]]) -> bytes:
        """One page of a list."""
        api_version, kind = KINDS[resource]
        objects = self.objects[resource]
        start = int(query.get("continue", ["0"])[0] or 0)
        end = min(start + int(query.get("limit", ["0"])[0] or len(objects)), len(objects))
        metadata = {"resourceVersion": str(self.version)} | ({"continue": str(end)} if end < len(objects) else {})
        head = f'{{"kind":"{kind}List","apiVersion":"{api_version}","metadata":{json.dumps(metadata)},"items":['
        return head.encode() + b",".join(objects[start:end]) + b"]}"

    def one(self, path: list[str]) -> bytes | None:
        """An object by its path: `…/namespaces/NS/RESOURCE/NAME` or `…/RESOURCE/NAME`."""
        resource, name = path[-2], path[-1]
        for obj in self.objects.get(resource, ()):
            metadata = json.loads(obj)["metadata"]
            if metadata["name"] == name and metadata.get("namespace", path[-3]) == path[-3]:
                return obj
        return None


class Connection(asyncio.Protocol):
    """HTTP/1.1 with kept connections."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.buffer = b""
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.writable.set()
        for watchers in self.feed.watchers.values():
            watchers.discard(self.transport)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].decode()
            length = next(
                (int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0
            )
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            self.answer(head, body)

    def answer(self, head: str, body: bytes) -> None:
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        parts = urlsplit(target)
        query, path = parse_qs(parts.query), parts.path.strip("/").split("/")
        if method != "GET":
            self.reply(201, body)
        elif parts.path == "/version":
            self.reply(200, encode({"major": "1", "minor": "36", "gitVersion": "v1.36.0"}))
        elif path[-1] in self.feed.objects:
            self.collection(path[-1], query)
        else:
            found = self.feed.one(path) if len(path) > 2 else None
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            self.reply(200 if found else 404, found or encode(missing))

    def collection(self, resource: str, query: dict[str, list[str]]) -> None:
        if query.get("watch", ["false"])[0] not in ("1", "true"):
            if "labelSelector" in query and "service-name" in query["labelSelector"][0]:
                self.reply(200, self.slices_of(query["labelSelector"][0]))
            else:
                self.reply(200, self.feed.page(resource, query))
            return
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.transport.write(head)
        if query.get("sendInitialEvents", [""])[0] == "true":
            self.sending = asyncio.ensure_future(self.sendencode_initial(resource))
        else:
            self.feed.watchers[resource].add(self.transport)

    def slices_of(self, selector: str) -> bytes:
        """A list by `kubernetes.io/service-name`; names are unique here."""
        wanted = f'"kubernetes.io/service-name":"{selector.split("=")[-1]}"'.encode()
        items = [obj for obj in self.feed.objects["endpointslices"] if wanted in obj]
        head = '{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"%d"},'
        return (head % self.feed.version).encode() + b'"items":[' + b",".join(items) + b"]}"

    async def sendencode_initial(self, resource: str) -> None:
        chunks = self.feed.initial[resource] = self.feed.initial[resource] or self.feed.encode_initial(resource)
        for data in chunks:
            await self.writable.wait()
            if self.transport.is_closing():
                return
            self.transport.write(data)
        self.feed.watchers[resource].add(self.transport)

    def reply(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)


def obey(feed: Feed, line: str) -> str:
    command, *words = line.split()
    if command == "change":
        return str(feed.send(feed.change(int(words[0]), words[1])))
    if command == "burst":
        first = IPv4Address(words[1])
        return str(feed.send(b"".join(feed.change(n, str(first + n)) for n in range(int(words[0])))))
    return str(time.monotonic_ns())


async def bookmarks(feed: Feed) -> None:
    """One a minute to every watcher, as API servers send them."""
    while True:
        await asyncio.sleep(60)
        for resource, watchers in feed.watchers.items():
            for transport in watchers:
                transport.write(chunk(frame("BOOKMARK", feed.bookmark(resource))))


async def main(port: int, services: int, endpoints: int, node_name: str) -> None:
    feed = Feed(services, endpoints, node_name)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(feed), "127.0.0.1", port)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    beating = asyncio.create_task(bookmarks(feed))
    while line := await reader.readline():
        print(obey(feed, line.decode()), flush=True)
    beating.cancel()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
