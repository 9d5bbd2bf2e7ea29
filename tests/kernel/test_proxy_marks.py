"""What the proxy writes on packets for its own use does not leave the node; what others wrote does."""

import asyncio
import os
import re
from collections.abc import Iterator

import pytest
from tests.kernel.proxy_net import NODE_ADDRESS, NODE_ADDRESS6, PODS, PODS6, PORT, Net, topology
from tests.unit.proxy.proxy_engines import Place, plans_of, tracker_of

from kubesvc.linux import netns
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.backend import NftablesBackend, remove_tables
from kubesvc.proxy.rules import PodSource
from kubesvc.testing.builders import endpoint_slice, service

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")]

FOREIGN = 0x20
NODE_PORT = 30080
PLACES = {
    Family.IPV4: Place(),
    Family.IPV6: Place(
        Family.IPV6, addresses=(NODE_ADDRESS6,), pods=PodSource(("fd00:244::/32",)), service_cidrs=("fd00:96::/112",)
    ),
}
SEEN = """
table inet somebody {
  counter first {}
  counter prioritised {}
  counter other-mark {}
  chain before { type filter hook prerouting priority -150; meta mark set %(mark)#x; }
  chain before-output { type filter hook output priority -150; meta mark set %(mark)#x; }
  chain after {
    type filter hook postrouting priority 300;
    ct state new oifname != "lo" counter name first
    ct state new meta priority != 0 counter name prioritised
    ct state new meta mark != %(mark)#x counter name other-mark
  }
}
"""


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with topology() as made:
        yield made


@pytest.mark.parametrize("family", Family)
def test_no_word_and_no_masquerade_mark_leaves_the_node(net: Net, family: Family) -> None:
    ipv4 = family is Family.IPV4
    vip, node = ("10.96.0.10", NODE_ADDRESS) if ipv4 else ("fd00:96::a", NODE_ADDRESS6)
    where = f"{(PODS if ipv4 else PODS6)['pod-b']}@node-a"
    objects = (
        service("web", port=80, cluster_ip=vip, node_port=NODE_PORT, target_port=PORT),
        endpoint_slice("web", where, port=PORT),
    )
    plans = plans_of(tracker_of(PLACES[family], objects))
    with netns.entered(net.name("node")):
        kernel = NftablesBackend(PLACES[family].settings)
        try:
            assert not asyncio.run(kernel.full_sync(plans)).refused
            net.exec("node", "nft", SEEN % {"mark": FOREIGN})
            answers = [
                net.ask(client, address, port, udp=False, timeout=2).split()[0]
                for client, address, port in (("pod-a", vip, 80), ("outside", node, NODE_PORT), ("node", vip, 80))
            ]
            listed = net.exec("node", "nft", "list", "counters", "table", "inet", "somebody")
        finally:
            kernel.close()
            remove_tables()
            net.exec("node", "nft", "delete table inet somebody")

    assert answers == ["pod-b"] * 3
    packets = dict(re.findall(r"counter (\S+) \{\s+packets (\d+)", listed))
    assert int(packets["first"]) >= 3
    assert (packets["prioritised"], packets["other-mark"]) == ("0", "0")
