"""What kube-proxy does with a packet, as data: one table for every backend and for the kernel.

A packet is `source -> destination: answer`. Sources and destinations have names; an answer is
`reject`, `drop`, `pass` (left alone), or the endpoints that may be chosen by their last number, with
a `*` where the source is masqueraded.
"""

from dataclasses import dataclass, field
from typing import Any

from kubesvc.testing.builders import endpoint_slice, service

Document = dict[str, Any]

POD, SECOND_POD, REMOTE_POD = "10.244.1.2", "10.244.1.3", "10.244.2.2"
NODE_IP, OUTSIDE, LOOPBACK = "192.0.2.1", "192.0.2.9", "127.0.0.1"
CLUSTER_IP, EXTERNAL_IP, BALANCER_IP = "10.96.0.10", "203.0.113.5", "203.0.113.7"
NODE_PORT = 30080

SOURCES = {"pod": POD, "pod2": SECOND_POD, "remote": REMOTE_POD, "node": NODE_IP, "outside": OUTSIDE}
DESTINATIONS = {
    "cluster": f"{CLUSTER_IP}:80",
    "external": f"{EXTERNAL_IP}:80",
    "balancer": f"{BALANCER_IP}:80",
    "nodeport": f"{NODE_IP}:{NODE_PORT}",
}

LOCAL_AND_REMOTE = (f"{POD}@node-a", f"{SECOND_POD}@node-a", f"{REMOTE_POD}@node-b")
REMOTE_ONLY = (f"{REMOTE_POD}@node-b",)


@dataclass(frozen=True)
class Case:
    """Objects, and what becomes of packets."""

    name: str
    objects: tuple[Document, ...]
    packets: dict[str, str]
    zone: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    protocol: str = "TCP"


def everything(*endpoints: str | Document, protocol: str = "TCP", **spec: Any) -> tuple[Document, ...]:
    """A Service `web` reachable in every way, and its slice."""
    return (
        service(
            "web", port=80, target_port=8080, node_port=NODE_PORT, cluster_ip=CLUSTER_IP, protocol=protocol,
            load_balancer_ips=(BALANCER_IP,), externalIPs=[EXTERNAL_IP], **spec,
        ),
        endpoint_slice("web", *endpoints, port=8080, protocol=protocol),
    )  # fmt: skip


def only_cluster_ip(*endpoints: str | Document, protocol: str = "TCP", **spec: Any) -> tuple[Document, ...]:
    """A ClusterIP Service `web` and its slice."""
    return (
        service("web", port=80, target_port=8080, cluster_ip=CLUSTER_IP, protocol=protocol, **spec),
        endpoint_slice("web", *endpoints, port=8080, protocol=protocol),
    )


def hinted(address: str, node: str, *, zones: tuple[str, ...] = (), nodes: tuple[str, ...] = ()) -> Document:
    """A ready endpoint with topology hints."""
    hints: Document = {}
    if zones:
        hints["forZones"] = [{"name": zone} for zone in zones]
    if nodes:
        hints["forNodes"] = [{"name": name} for name in nodes]
    return {"addresses": [address], "nodeName": node, "conditions": {"ready": True}, "hints": hints}


def packets(**by_destination: str) -> dict[str, str]:
    """`nodeport="outside: 2* 3*; node: 2*"` as a flat table."""
    found = {}
    for destination, text in by_destination.items():
        for entry in text.split(";"):
            source, _, answer = entry.partition(":")
            found[f"{source.strip()} -> {destination}"] = answer.strip()
    return found


ALL_EXTERNAL_CLUSTER = "pod: 102* 103* 202*; node: 102* 103* 202*; outside: 102* 103* 202*"
ALL_EXTERNAL_LOCAL = "pod: 102* 103 202; node: 102* 103* 202*; outside: 102 103"
REJECT_ALL = "pod: reject; node: reject; outside: reject"
ALL_INTERNAL = "pod: 102* 103 202; node: 102* 103* 202*; outside: 102* 103* 202*"


def external(answer: str) -> dict[str, str]:
    """The same answer for every way in from outside."""
    return packets(nodeport=answer, balancer=answer, external=answer)


def _protocol_cases() -> list[Case]:
    return [
        Case(
            f"cluster policy, {protocol}",
            everything(*LOCAL_AND_REMOTE, protocol=protocol),
            packets(cluster=ALL_INTERNAL) | external(ALL_EXTERNAL_CLUSTER),
            protocol=protocol,
        )
        for protocol in ("TCP", "UDP", "SCTP")
    ]


CASES = [
    *_protocol_cases(),
    Case(
        "external policy Local keeps the source and stays on the node",
        everything(*LOCAL_AND_REMOTE, externalTrafficPolicy="Local"),
        packets(cluster=ALL_INTERNAL) | external(ALL_EXTERNAL_LOCAL),
    ),
    Case(
        "internal policy Local binds the cluster address only",
        everything(*LOCAL_AND_REMOTE, internalTrafficPolicy="Local"),
        packets(cluster="pod: 102* 103; node: 102* 103*; outside: 102* 103*") | external(ALL_EXTERNAL_CLUSTER),
    ),
    Case(
        "both policies Local",
        everything(*LOCAL_AND_REMOTE, internalTrafficPolicy="Local", externalTrafficPolicy="Local"),
        packets(cluster="pod: 102* 103; node: 102* 103*; outside: 102* 103*") | external(ALL_EXTERNAL_LOCAL),
    ),
    Case(
        "external policy Local without an endpoint here drops outsiders, serves pods and the node",
        everything(*REMOTE_ONLY, externalTrafficPolicy="Local"),
        packets(cluster="pod: 202; node: 202*") | external("pod: 202; node: 202*; outside: drop"),
    ),
    Case(
        "internal policy Local without an endpoint here drops everybody at the cluster address",
        everything(*REMOTE_ONLY, internalTrafficPolicy="Local"),
        packets(cluster="pod: drop; node: drop; outside: drop") | external("pod: 202*; node: 202*; outside: 202*"),
    ),
    Case(
        "no endpoints at all: reject",
        everything(),
        packets(cluster=REJECT_ALL) | external(REJECT_ALL),
    ),
    Case(
        "no endpoints at all rejects under Local policies too",
        everything(externalTrafficPolicy="Local", internalTrafficPolicy="Local"),
        packets(cluster=REJECT_ALL) | external(REJECT_ALL),
    ),
    Case(
        "endpoints that are not ready do not count",
        everything(f"{POD}@node-a!notready", f"{REMOTE_POD}@node-b!notready"),
        packets(cluster="pod: reject; node: reject") | external("outside: reject"),
    ),
    Case(
        "a cluster address only",
        only_cluster_ip(*LOCAL_AND_REMOTE),
        packets(cluster=ALL_INTERNAL),
    ),
    Case(
        "masquerade all masquerades pods at the cluster address too",
        everything(*LOCAL_AND_REMOTE),
        packets(cluster=ALL_EXTERNAL_CLUSTER) | external(ALL_EXTERNAL_CLUSTER),
        options={"masquerade_all": True},
    ),
    Case(
        "a terminating endpoint that serves is not used while there is a ready one",
        everything(f"{POD}@node-a!terminating", f"{REMOTE_POD}@node-b"),
        packets(cluster="pod2: 202; node: 202*") | external("outside: 202*"),
    ),
    Case(
        "only terminating ones that serve: all of them",
        everything(f"{POD}@node-a!terminating", f"{REMOTE_POD}@node-b!terminating"),
        packets(cluster="pod2: 102 202; node: 102* 202*") | external("outside: 102* 202*"),
    ),
    Case(
        "terminating ones that do not serve are nobody",
        everything(f"{POD}@node-a!gone", f"{REMOTE_POD}@node-b!gone"),
        packets(cluster="pod2: reject; node: reject") | external("outside: reject"),
    ),
    Case(
        "Local falls back to a terminating endpoint here, independently of the cluster list",
        everything(f"{POD}@node-a!terminating", f"{REMOTE_POD}@node-b", externalTrafficPolicy="Local"),
        packets(cluster="pod2: 202; node: 202*") | external("pod2: 202; node: 202*; outside: 102"),
    ),
    Case(
        "Local prefers a ready endpoint here to a terminating one",
        everything(f"{POD}@node-a!terminating", f"{SECOND_POD}@node-a", externalTrafficPolicy="Local"),
        external("outside: 103"),
    ),
    Case(
        "internal Local falls back to a terminating endpoint here",
        everything(f"{POD}@node-a!terminating", f"{REMOTE_POD}@node-b", internalTrafficPolicy="Local"),
        packets(cluster="pod2: 102; node: 102*"),
    ),
    Case(
        "zone hints choose the endpoints of this zone",
        everything(hinted(POD, "node-a", zones=("z1",)), hinted(REMOTE_POD, "node-b", zones=("z2",))),
        packets(cluster="pod2: 102; node: 102*") | external("outside: 102*"),
        zone="z1",
    ),
    Case(
        "zone hints that name no endpoint for this zone are ignored",
        everything(hinted(POD, "node-a", zones=("z1",)), hinted(REMOTE_POD, "node-b", zones=("z2",))),
        packets(cluster="pod2: 102 202"),
        zone="z3",
    ),
    Case(
        "an endpoint without hints makes all hints void",
        everything(hinted(POD, "node-a", zones=("z1",)), f"{REMOTE_POD}@node-b"),
        packets(cluster="pod2: 102 202"),
        zone="z1",
    ),
    Case(
        "a node without a zone ignores zone hints",
        everything(hinted(POD, "node-a", zones=("z1",)), hinted(REMOTE_POD, "node-b", zones=("z2",))),
        packets(cluster="pod2: 102 202"),
    ),
    Case(
        "node hints win over zone hints",
        everything(
            hinted(POD, "node-a", zones=("z1",), nodes=("node-a",)),
            hinted(SECOND_POD, "node-a", zones=("z1",), nodes=("node-b",)),
        ),
        packets(cluster="remote: 102"),
        zone="z1",
    ),
    Case(
        "node hints for other nodes fall back to the zone",
        everything(
            hinted(POD, "node-a", zones=("z1",), nodes=("node-b",)),
            hinted(SECOND_POD, "node-a", zones=("z2",), nodes=("node-b",)),
        ),
        packets(cluster="remote: 102"),
        zone="z1",
    ),
    Case(
        "hints never filter the local list",
        everything(
            hinted(POD, "node-a", zones=("z2",)), hinted(REMOTE_POD, "node-b", zones=("z1",)),
            externalTrafficPolicy="Local",
        ),
        packets(cluster="pod2: 202") | external("outside: 102; pod2: 202"),
        zone="z1",
    ),
    Case(
        "source ranges guard load-balancer addresses only",
        everything(*LOCAL_AND_REMOTE, loadBalancerSourceRanges=["198.51.100.0/24"]),
        packets(
            balancer="outside: drop; pod: drop; node: drop; other: 102* 103* 202*",
            external="outside: 102* 103* 202*",
            nodeport="outside: 102* 103* 202*",
            cluster="pod: 102* 103 202",
        ),
    ),
    Case(
        "a source range that holds the node lets the node and the address itself in",
        everything(*LOCAL_AND_REMOTE, loadBalancerSourceRanges=[" 192.0.2.0/24 "]),
        packets(balancer="node: 102* 103* 202*; outside: 102* 103* 202*; vip: 102* 103* 202*; other: drop"),
    ),
    Case(
        "a range of everything guards nothing",
        everything(*LOCAL_AND_REMOTE, loadBalancerSourceRanges=["0.0.0.0/0", "198.51.100.0/24"]),
        packets(balancer="outside: 102* 103* 202*"),
    ),
    Case(
        "ranges of the other family only admit nobody",
        everything(*LOCAL_AND_REMOTE, loadBalancerSourceRanges=["2001:db8::/32"]),
        packets(balancer="outside: drop", nodeport="outside: 102* 103* 202*"),
    ),
    Case(
        "source ranges and external policy Local",
        everything(*LOCAL_AND_REMOTE, loadBalancerSourceRanges=["198.51.100.0/24"], externalTrafficPolicy="Local"),
        packets(balancer="other: 102 103; outside: drop", nodeport="outside: 102 103"),
    ),
    Case(
        "source ranges without endpoints: allowed ones are rejected, others dropped",
        everything(loadBalancerSourceRanges=["198.51.100.0/24"]),
        packets(balancer="other: reject; outside: drop", nodeport="outside: reject"),
    ),
    Case(
        "a load-balancer address that the balancer itself proxies is not ours",
        (
            service(
                "web", port=80, node_port=NODE_PORT, cluster_ip=CLUSTER_IP, type="LoadBalancer",
                status={"loadBalancer": {"ingress": [{"ip": BALANCER_IP, "ipMode": "Proxy"}]}},
            ),
            endpoint_slice("web", *LOCAL_AND_REMOTE, port=8080),
        ),
        packets(balancer="outside: pass", nodeport="outside: 102* 103* 202*"),
    ),
    Case(
        "another port of a Service's cluster address: reject; no Service there: drop; elsewhere: left alone",
        everything(*LOCAL_AND_REMOTE),
        packets(
            wrongport="pod: reject; node: reject; outside: reject",
            nobody="pod: drop; node: drop; outside: drop",
            elsewhere="pod: pass; node: pass; outside: pass",
            othervip="outside: pass",
            ssh="outside: pass; pod: pass",
        ),
    ),
    Case(
        "node ports answer on chosen addresses only",
        everything(*LOCAL_AND_REMOTE),
        packets(nodeport="outside: 102* 103* 202*", bridgeport="pod: pass"),
        options={"nodeport_addresses": (NODE_IP,)},
    ),
    Case(
        "node ports answer on every local address",
        everything(*LOCAL_AND_REMOTE),
        packets(nodeport="outside: 102* 103* 202*", bridgeport="pod: 102* 103* 202*"),
    ),
    Case(
        "two slices: a ready entry wins over a terminating one for the same endpoint",
        (
            *everything(f"{POD}@node-a"),
            endpoint_slice("web", f"{POD}@node-a!terminating", f"{REMOTE_POD}@node-b", port=8080, name="web-2"),
        ),
        packets(cluster="pod2: 102 202"),
    ),
    Case(
        "slices of the other family and of other Services do not count",
        (
            *everything(f"{POD}@node-a"),
            endpoint_slice("web", "fd00::2@node-a", port=8080, name="web-6"),
            endpoint_slice("other", f"{REMOTE_POD}@node-b", port=8080, name="other-1"),
        ),
        packets(cluster="pod2: 102"),
    ),
]  # fmt: skip

EXTRA_SOURCES = {"other": "198.51.100.3", "vip": BALANCER_IP, "bridge": "10.244.1.1"}
EXTRA_DESTINATIONS = {
    "wrongport": f"{CLUSTER_IP}:81",
    "nobody": "10.96.7.7:80",
    "elsewhere": "198.51.100.7:80",
    "othervip": f"{BALANCER_IP}:443",
    "ssh": f"{NODE_IP}:22",
    "bridgeport": f"10.244.1.1:{NODE_PORT}",
}


def shorten(answer: str) -> str:
    """Targets as the table writes them: 10.244.1.2 and fd00:244:1::2 are 102."""
    words = []
    for word in answer.split():
        if word[0].isdigit() or ":" in word:
            third, fourth = word.split(".")[2:] if "." in word else word.split("::")
            words.append(f"{third.rpartition(':')[2]}0{fourth}")
        else:
            words.append(word)
    return " ".join(words)
