"""The table that counts bytes, whichever backend translates. Pure.

Theory
------
conntrack says of every packet of a translated connection whom its client asked for (the original
tuple's destination) and who answers (the reply tuple's source). The packet adds its length to the
element of that name, and makes it when it is the first: the table is the same for all Services.

    postrouting    everything that leaves the node, or that its processes send
    input          everything that ends here, unless it comes by `lo`: then postrouting had it

So a packet is counted once, after it was let through, with its IP header and without a link's. Many
segments that travel as one packet (segmentation offload) have one header. An element that no packet
uses for an hour goes; a full set counts nothing new and does no other harm.

One rule per protocol: nft 1.0.6 takes conntrack's ports into a key only where the protocol is known.
Two sets rather than the direction as a sixth field, which it cannot list.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.syntax import PROTOCOLS, base_chain, block, chain, nft_family
from kubesvc.proxy.traffic import IDLE_SECONDS, Direction

TABLE = "kubesvc-traffic"
SIZE = 1 << 18
"""Elements of one set: twice what 10,000 Services with 10 endpoints each need."""

_BY_CONNTRACK = {Direction.REQUEST: "original", Direction.RESPONSE: "reply"}
_LATE = "300"


@dataclass(frozen=True, slots=True)
class Layout:
    """Commands that make the table, and what it is known by afterwards."""

    text: str
    comment: str
    rules: int


def layout(family: Family, *, endpoints: bool) -> Layout:
    """One family's table; without `endpoints` it counts by what was asked for only."""
    rules = list(_rules(family, endpoints=endpoints))
    body = [
        *(_set(family, direction, endpoints=endpoints) for direction in Direction),
        chain("count", *rules),
        base_chain("input", "filter", "input", _LATE, 'iifname != "lo" ct status dnat goto count'),
        base_chain("postrouting", "filter", "postrouting", _LATE, "ct status dnat goto count"),
    ]
    text = "\n".join(body)
    comment = f"made by kubesvc proxy --traffic-bytes, layout {hashlib.sha256(text.encode()).hexdigest()[:16]}"
    head = f'table {nft_family(family)} {TABLE} {{\n  comment "{comment}"\n'
    return Layout(f"{head}{text}\n}}\n", comment, len(rules) + 2)


def _set(family: Family, direction: Direction, *, endpoints: bool) -> str:
    address = "ipv4_addr" if family is Family.IPV4 else "ipv6_addr"
    answers = f" . {address} . inet_service" if endpoints else ""
    return block(
        "set",
        direction,
        f"type {address} . inet_proto . inet_service{answers};",
        "flags dynamic,timeout;",
        f"timeout {IDLE_SECONDS}s;",
        f"size {SIZE};",
    )


def _rules(family: Family, *, endpoints: bool) -> Iterator[str]:
    ip = nft_family(family)
    key = f"ct original {ip} daddr . meta l4proto . ct original proto-dst"
    if endpoints:
        key += f" . ct reply {ip} saddr . ct reply proto-src"
    for protocol in PROTOCOLS:
        for direction, way in _BY_CONNTRACK.items():
            yield f"meta l4proto {protocol} ct direction {way} update @{direction} {{ {key} counter }}"
