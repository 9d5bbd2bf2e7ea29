"""More of the behaviour table: what `proxy_behaviour.py` has as sentences, here as systematic tables."""

from collections.abc import Iterator
from typing import Any

from tests.unit.proxy.proxy_behaviour import (
    BALANCER_IP,
    CLUSTER_IP,
    EXTERNAL_IP,
    LOCAL_AND_REMOTE,
    NODE_IP,
    NODE_PORT,
    POD,
    REMOTE_ONLY,
    REMOTE_POD,
    SECOND_POD,
    Case,
    Document,
    everything,
    external,
    packets,
)

from kubesvc.proxy.rules import PodSource
from kubesvc.testing.builders import endpoint_slice, service

HERE, HERE_TOO, FAR = f"{POD}@node-a", f"{SECOND_POD}@node-a", f"{REMOTE_POD}@node-b"

TERMINATING: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("ready and terminating here", (HERE, f"{HERE_TOO}!terminating", FAR), "102* 202*", "102"),
    ("ready here, terminating away", (HERE, f"{FAR}!terminating"), "102*", "102"),
    ("terminating here, ready away", (f"{HERE}!terminating", f"{HERE_TOO}!terminating", FAR), "202*", "102 103"),
    ("terminating everywhere", (f"{HERE}!terminating", f"{FAR}!terminating"), "102* 202*", "102"),
    ("terminating away only", (f"{FAR}!terminating",), "202*", "drop"),
    ("gone here, ready away", (f"{HERE}!gone", FAR), "202*", "drop"),
    ("gone and terminating here", (f"{HERE}!gone", f"{HERE_TOO}!terminating", f"{FAR}!gone"), "103*", "103"),
    ("gone here, terminating away", (f"{HERE}!gone", f"{FAR}!terminating"), "202*", "drop"),
    ("gone here, not ready away", (f"{HERE}!gone", f"{FAR}!notready"), "reject", "reject"),
    ("not ready here, ready away", (f"{HERE}!notready", FAR), "202*", "drop"),
    ("not ready and terminating here", (f"{HERE}!notready", f"{HERE_TOO}!terminating"), "103*", "103"),
    ("not ready here, ready here", (f"{HERE}!notready", HERE_TOO), "103*", "103"),
    ("gone everywhere", (f"{HERE}!gone", f"{FAR}!gone"), "reject", "reject"),
    ("none", (), "reject", "reject"),
)
"""Endpoints, and what an outsider meets under policy Cluster and under policy Local, at every external address."""


def terminating_cases() -> Iterator[Case]:
    for name, endpoints, cluster, local in TERMINATING:
        inside = local if local in ("drop", "reject") else " ".join(f"{each}*" for each in local.split())
        yield Case(
            f"terminating, Cluster: {name}",
            everything(*endpoints),
            packets(cluster=f"outside: {cluster}; node: {cluster}") | external(f"outside: {cluster}"),
        )
        yield Case(
            f"terminating, Local: {name}",
            everything(*endpoints, externalTrafficPolicy="Local", internalTrafficPolicy="Local"),
            packets(cluster=f"outside: {inside}; node: {inside}") | external(f"outside: {local}; node: {cluster}"),
        )


SECOND_BALANCER = "203.0.113.8"
SHARED_PORT = 30081

PORTS: tuple[Document, ...] = (
    service(
        "web",
        {"name": "a", "port": 80, "nodePort": NODE_PORT},
        {"name": "b", "port": 443, "nodePort": SHARED_PORT},
        {"name": "c", "port": 443, "nodePort": SHARED_PORT, "protocol": "UDP"},
        type="LoadBalancer", cluster_ip=CLUSTER_IP, load_balancer_ips=(BALANCER_IP,),
    ),
    endpoint_slice(
        "web", HERE_TOO,
        ports=[{"name": "a", "port": 8080, "protocol": "TCP"}, {"name": "c", "port": 8080, "protocol": "UDP"}],
    ),
    endpoint_slice("web", FAR, ports=[{"name": "b", "port": 8080, "protocol": "TCP"}], name="web-2"),
)  # fmt: skip
"""Three ports of one Service, two of them of one number; each has endpoints of its own."""

OTHERS: tuple[Document, ...] = (
    *everything(HERE_TOO),
    service("other", port=80, node_port=SHARED_PORT, cluster_ip="10.96.0.11"),
    endpoint_slice("other", FAR, port=8080),
)


def _balancer(*endpoints: str, **spec: Any) -> tuple[Document, ...]:
    web = service(
        "web", port=80, cluster_ip=CLUSTER_IP, load_balancer_ips=(BALANCER_IP, SECOND_BALANCER),
        allocateLoadBalancerNodePorts=False, **spec,
    )  # fmt: skip
    return web, endpoint_slice("web", *endpoints, port=8080)


def _external_only(**spec: Any) -> tuple[Document, ...]:
    web = service("web", port=80, cluster_ip=CLUSTER_IP, externalIPs=[EXTERNAL_IP], **spec)
    return web, endpoint_slice("web", *LOCAL_AND_REMOTE, port=8080)


VECTORS = [
    *terminating_cases(),
    Case(
        "each port of a Service has its own endpoints",
        PORTS,
        packets(
            cluster="outside: 103*; pod: 103", secure="outside: 202*; pod: 202", nodeport="outside: 103*",
            sharedport="outside: 202*", balancer="outside: 103*", othervip="outside: 202*",
        ),
    ),
    Case(
        "ports of one number are told apart by protocol",
        PORTS,
        packets(
            secure="outside: 103*", sharedport="outside: 103*", othervip="outside: 103*", cluster="outside: reject",
        ),
        protocol="UDP",
    ),
    Case(
        "Services do not meet",
        OTHERS,
        packets(cluster="pod: 103", othercluster="pod: 202", nodeport="outside: 103*", sharedport="outside: 202*"),
    ),
    Case(
        "an external address alone makes a Service reachable, and its external policy count",
        _external_only(externalTrafficPolicy="Local"),
        packets(
            cluster="outside: 102* 103* 202*",
            external="outside: 102 103; pod: 102* 103 202; node: 102* 103* 202*",
        ),
    ),
    Case(
        "two balancer addresses and no node port",
        _balancer(HERE_TOO, FAR),
        packets(
            balancer="outside: 103* 202*", secondvip="outside: 103* 202*; pod: 103* 202*", nodeport="outside: pass",
        ),
    ),
    Case(
        "two balancer addresses and no node port, Local",
        _balancer(HERE_TOO, FAR, externalTrafficPolicy="Local"),
        packets(balancer="outside: 103; pod: 103 202", secondvip="outside: 103; node: 103* 202*"),
    ),
    Case(
        "source ranges guard every balancer address, for pods too",
        _balancer(HERE_TOO, FAR, loadBalancerSourceRanges=["198.51.100.0/25", "10.244.1.2/32", "198.51.100.0/24"]),
        packets(
            balancer="outside: drop; other: 103* 202*; pod: 103* 202*; pod2: drop; node: drop",
            secondvip="outside: drop; other: 103* 202*; vip: drop",
        ),
    ),
    Case(
        "a range of everything in this family beside one of the other",
        _balancer(HERE_TOO, loadBalancerSourceRanges=["2001:db8:7::/48", "0.0.0.0/0"]),
        packets(balancer="outside: 103*; pod: 103*"),
    ),
    Case(
        "source ranges and policy Local without an endpoint here: pods and nodes that may, do",
        _balancer(FAR, loadBalancerSourceRanges=["10.244.0.0/16", "192.0.2.0/24"], externalTrafficPolicy="Local"),
        packets(balancer="outside: drop; pod: 202; node: 202*; other: drop"),
    ),
    Case(
        "node ports of policy Local without an endpoint here answer pods and the node",
        everything(*REMOTE_ONLY, externalTrafficPolicy="Local"),
        packets(nodeport="outside: drop; pod: 202; node: 202*", bridgeport="pod: 202; node: 202*"),
    ),
    Case(
        "without a local detector nothing is masqueraded at the cluster address, and nobody is a pod",
        everything(HERE_TOO, FAR, externalTrafficPolicy="Local"),
        packets(cluster="pod: 103 202; outside: 103 202; node: 103 202", nodeport="pod: 103; outside: 103"),
        options={"pods": None},
    ),
    Case(
        "the node under an address of its pods' network counts as a pod",
        everything(HERE_TOO, FAR, externalTrafficPolicy="Local"),
        packets(cluster="bridge: 103 202", nodeport="bridge: 103 202", balancer="bridge: 103 202"),
    ),
    Case(
        "what reaches no Service port is nobody's, whatever its policy",
        everything(*REMOTE_ONLY, externalTrafficPolicy="Local", internalTrafficPolicy="Local"),
        packets(ssh="outside: pass; pod: pass; node: pass", othervip="outside: pass", wrongport="pod: reject"),
    ),
    Case(
        "pods are known by their bridge",
        everything(HERE_TOO, FAR, externalTrafficPolicy="Local"),
        packets(cluster="node: 103* 202*; outside: 103* 202*", nodeport="outside: 103; node: 103* 202*"),
        options={"pods": PodSource(interface="cni0")},
    ),
    Case(
        "an address of the other family among balancer and external addresses is not ours",
        (
            service(
                "web", port=80, node_port=NODE_PORT, cluster_ip=CLUSTER_IP, externalIPs=[EXTERNAL_IP, "2001:db8:5::5"],
                load_balancer_ips=(BALANCER_IP, "2001:db8:5::7"),
            ),
            endpoint_slice("web", HERE_TOO, port=8080),
        ),
        packets(external="outside: 103*", balancer="outside: 103*"),
    ),
    Case(
        "a balancer known by name only has no address",
        (
            service(
                "web", port=80, node_port=NODE_PORT, cluster_ip=CLUSTER_IP, type="LoadBalancer",
                status={"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}},
            ),
            endpoint_slice("web", HERE_TOO, port=8080),
        ),
        packets(balancer="outside: pass", nodeport="outside: 103*"),
    ),
]  # fmt: skip

MORE_DESTINATIONS = {
    "secure": f"{CLUSTER_IP}:443",
    "sharedport": f"{NODE_IP}:{SHARED_PORT}",
    "othercluster": "10.96.0.11:80",
    "secondvip": f"{SECOND_BALANCER}:80",
}
