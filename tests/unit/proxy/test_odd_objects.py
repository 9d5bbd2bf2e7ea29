"""Objects whose fields have the right types and impossible values: whatever is planned, both backends can write."""

import shlex
from random import Random
from typing import Any

import pytest
from tests.unit.proxy.proxy_engines import NODE, Document, Place, plans_of, put

from kubesvc.linux.nft_codec import ElementCodec
from kubesvc.proxy.iptables.compile import compile_port
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.compiler import Compiler
from kubesvc.proxy.nftables.schema import set_types, to_kernel
from kubesvc.proxy.tracker import Tracker

ADDRESSES = (
    "10.0.0.1", "fd00::1", "fd00::1%eth0", "fe80::1%x", "10.0.0.1%eth0", "1.2.3", "1.2.3.4/24", "::ffff:10.0.0.1",
    "0x7f.1", "\uff11\uff10.0.0.1", "10.0.0.1\n", "", " ", "a" * 5000, "10.0.0.256", "::", "fd00::/64",
    "255.255.255.255", "01.02.03.04", "240.0.0.1", "::1", "::10.0.0.1", "64:ff9b::1.2.3.4",
)  # fmt: skip
RANGES = (
    "10.0.0.0/8", "10.0.0.0/33", "fd00::1%eth0/64", "fd00::/64", "::/0", "0.0.0.0/0", "10.0.0.0/-1", "x",
    "10.0.0.0/255.0.0.0", "10.0.0.0/0.0.0.255", "::ffff:10.0.0.0/104",
)  # fmt: skip
NAMES = ("web", "web", 'we"b', "we\nb", "we b", "", "\u00fc", "a" * 300, "\x00", "-j ACCEPT")
NUMBERS = (80, 80, 0, -1, 65535, 65536, 2**31, 2**62, -(2**62))


def odd_objects(random: Random) -> list[Document]:
    """A node, a Service and its slice."""

    def one(*things: Any) -> Any:
        return random.choice(things)

    name, port = one(*NAMES), {"name": one(*NAMES), "protocol": one("TCP", "UDP", "SCTP", "tcp", "")}
    spec = {
        "type": one("ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer", "Strange", ""),
        "clusterIP": one(*ADDRESSES),
        "clusterIPs": [one(*ADDRESSES[:2], *ADDRESSES), one(*ADDRESSES)],
        "externalIPs": [one(*ADDRESSES)],
        "ports": [port | {"port": one(*NUMBERS), "nodePort": one(*NUMBERS)}],
        "loadBalancerSourceRanges": [one(*RANGES), one(*RANGES)],
        "sessionAffinity": one("ClientIP", "strange"),
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": one(*NUMBERS)}},
        "healthCheckNodePort": one(*NUMBERS),
        "externalTrafficPolicy": one("Local", "Cluster", "strange"),
        "internalTrafficPolicy": one("Local", "strange"),
    }
    ingress = [{"ip": one(*ADDRESSES), "ipMode": one("VIP", "Proxy", "strange")}]
    labels = {"kubernetes.io/service-name": name}
    addresses = [{"type": "InternalIP", "address": one(*ADDRESSES)}]
    endpoints = [{"addresses": [one(*ADDRESSES)], "nodeName": one(*NAMES, NODE), "conditions": {}} for _ in range(3)]
    return [
        {"kind": "Node", "metadata": {"name": NODE}, "status": {"addresses": addresses}},
        {
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default", "creationTimestamp": one(None, "", "x")},
            "spec": spec,
            "status": {"loadBalancer": {"ingress": ingress}},
        },
        {
            "kind": "EndpointSlice",
            "metadata": {"name": "x", "namespace": "default", "labels": labels},
            "addressType": one("IPv4", "IPv6", "FQDN", "strange"),
            "endpoints": endpoints,
            "ports": [port | {"port": one(*NUMBERS)}],
        },
    ]


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("seed", range(10))
def test_what_is_planned_of_odd_objects_can_be_written(seed: int, family: Family) -> None:
    random, types = Random(seed), set_types(family)
    codecs = {name: ElementCodec(set_, b"") for name, set_ in types.items()}
    settings = Place(family).settings
    for _ in range(300):
        tracker = Tracker(family, NODE)
        put(tracker, *odd_objects(random))
        for name, plan in plans_of(tracker).items():
            for element in to_kernel(types, Compiler().set_port(name, plan).adds):
                codecs[element.set.name].pack(element.key, element.value)
            rules = compile_port(plan, settings)
            for line in (line for lines in (*rules.chains.values(), *rules.entries.values()) for line in lines):
                assert line.isprintable()
                assert len(shlex.split(line)) > 1
        for key in tracker:
            health = tracker.plan(key).health
            assert health is None or 0 < health.port < 65536
