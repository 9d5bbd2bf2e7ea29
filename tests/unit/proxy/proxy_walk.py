"""A cluster in which anything happens to Services, slices and the node: what the proxies' random walks are made of.

Drawn from a seeded generator: the same seed is the same walk.
"""

from random import Random
from typing import Any

from tests.unit.proxy.proxy_engines import NODE, Document, Place

from kubesvc.proxy.model import Family
from kubesvc.proxy.rules import PodSource

SERVICES = ("s0", "s1", "s2", "s3")
SLICES = ("x0", "x1", "x2", "x3", "x4")
CLUSTER_IPS = ("10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4")
CLUSTER_IPS6 = ("fd00:96::1", "fd00:96::2", "fd00:96::3")
OUTSIDE_IPS = ("203.0.113.1", "203.0.113.2", "2001:db8:9::1", "10.96.0.2", "not-an-address")
PORTS = (80, 81, 53)
NODE_PORTS = (0, 30000, 30001)
PODS = tuple(f"10.244.{1 + n % 3}.{n + 2}" for n in range(9))
PODS6 = tuple(f"fd00:244:{1 + n % 3}::{n + 2}" for n in range(5))
SOURCE_RANGES = ("192.0.2.0/28", "192.0.2.8/29", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "x")
ZONES = ("", "z1", "z2")

PLACES = {
    Family.IPV4: Place(),
    Family.IPV6: Place(
        Family.IPV6,
        addresses=("2001:db8::1",),
        pods=PodSource(("fd00:244::/32",)),
        service_cidrs=("fd00:96::/112",),
        extra_local=("::1",),
    ),
}
"""A node in each family, for these Services."""

Step = tuple[str, Document | str]
"""`put` and a document, or the kind of an object and the name of the one that is deleted."""


class Chance:
    """Everything that may happen, drawn from one seed."""

    def __init__(self, seed: int, *, large: int) -> None:
        """Now and then, a slice has `large` endpoints more."""
        self._random = Random(seed)
        self._large = large

    def steps(self) -> list[Step]:
        """A few things that happen together."""
        return [self._step() for _ in range(self._random.randint(1, 6))]

    def happens(self, *, once_in: int) -> bool:
        """Whether something rare happens now."""
        return self._random.randrange(once_in) == 0

    def _step(self) -> Step:
        match self._random.randrange(10):
            case 0:
                return "Service", self._one(*SERVICES)
            case 1:
                return "EndpointSlice", self._one(*SLICES)
            case 2:
                return "put", self._node()
            case 3 | 4 | 5:
                return "put", self._service()
            case _:
                return "put", self._slice()

    def _one(self, *things: Any) -> Any:
        return self._random.choice(things)

    def _mostly(self, usual: Any, *others: Any) -> Any:
        return usual if self._random.random() < 0.75 else self._one(*others)

    def _some(self, most: int, *things: Any) -> list[Any]:
        return [self._one(*things) for _ in range(self._random.randint(0, most))]

    def _service(self) -> Document:
        """Any Service: also those that no API server would take."""
        kind = self._mostly(self._one("ClusterIP", "NodePort", "LoadBalancer"), "ExternalName", "Headless")
        families = self._mostly("4", "6", "46", "64")
        addresses = [self._one(*(CLUSTER_IPS if family == "4" else CLUSTER_IPS6)) for family in families]
        addresses = {"Headless": ["None"], "ExternalName": [""]}.get(kind, addresses)
        spec: Document = {
            "type": "ClusterIP" if kind == "Headless" else kind,
            "clusterIP": addresses[0],
            "clusterIPs": addresses,
            "ports": [self._service_port() for _ in range(self._random.randint(1, 3))],
            "internalTrafficPolicy": self._mostly("Cluster", "Local"),
            "externalTrafficPolicy": self._one("Cluster", "Local"),
            "externalIPs": self._some(2, *OUTSIDE_IPS),
            "healthCheckNodePort": self._one(0, 32000),
            "trafficDistribution": self._one(None, "PreferClose"),
        }
        if self._one(True, False, False):
            spec["sessionAffinity"] = "ClientIP"
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": self._one(60, 10800)}}
        if self._one(True, False, False):
            spec["loadBalancerSourceRanges"] = self._some(3, *SOURCE_RANGES)
        meta: Document = {
            "name": self._one(*SERVICES),
            "namespace": "default",
            "labels": {} if self._random.randrange(10) else {"service.kubernetes.io/service-proxy-name": "other"},
            "creationTimestamp": self._one(None, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        }
        ingress = [{"ip": address} for address in self._some(2, *OUTSIDE_IPS)]
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": spec,
            "status": {"loadBalancer": {"ingress": ingress}},
        }

    def _service_port(self) -> Document:
        return {
            "name": self._mostly("", "a", "b"),
            "protocol": self._mostly("TCP", "UDP", "SCTP", "ICMP"),
            "port": self._one(*PORTS * 4, 0, 70000),
            "nodePort": self._one(*NODE_PORTS),
        }

    def _slice(self) -> Document:
        """Any slice, of any Service or none."""
        family = self._mostly("IPv4", "IPv6")
        pods = [*(PODS if family == "IPv4" else PODS6), "127.0.0.1", "none"]
        endpoints = [self._endpoint(self._one(*pods)) for _ in range(self._random.randint(0, 6))]
        if family == "IPv4" and self._random.randrange(40) == 0:
            endpoints += [
                {"addresses": [f"10.245.{n // 250}.{n % 250 + 1}"], "conditions": {}} for n in range(self._large)
            ]
        labels = self._one(*({"kubernetes.io/service-name": name} for name in SERVICES * 3), {})
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": self._one(*SLICES), "namespace": "default", "labels": labels},
            "addressType": family,
            "endpoints": endpoints,
            "ports": [self._slice_port() for _ in range(self._random.randint(1, 3))],
        }

    def _slice_port(self) -> Document:
        return {
            "name": self._mostly("", "a", "b"),
            "protocol": self._mostly("TCP", "UDP", "SCTP"),
            "port": self._mostly(8080, 8081, None, 0),
        }

    def _endpoint(self, address: str) -> Document:
        made: Document = {
            "addresses": [address],
            "conditions": {
                "ready": self._mostly(True, False, None),
                "serving": self._mostly(None, True, False),
                "terminating": self._mostly(False, True, None),
            },
            "hints": {},
        }
        if node := self._one("", NODE, "node-b"):
            made["nodeName"] = node
        if zone := self._mostly(*ZONES):
            made["hints"]["forZones"] = [{"name": zone}]
        if self._random.randrange(9) == 0:
            made["hints"]["forNodes"] = [{"name": NODE}]
        return made

    def _node(self) -> Document:
        """This node, in some zone and with some addresses."""
        addresses = self._one(("192.0.2.1",), ("192.0.2.1", "2001:db8::1"), ("192.0.2.10",), ())
        zone = self._one(*ZONES)
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": NODE, "labels": {"topology.kubernetes.io/zone": zone} if zone else {}},
            "status": {"addresses": [{"type": "InternalIP", "address": address} for address in addresses]},
        }
