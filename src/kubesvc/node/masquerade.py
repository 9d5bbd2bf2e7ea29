"""P: the agent's one nftables table: pods that talk to the outside do so with their node's address."""

from collections.abc import Iterable

TABLE = "kubesvc-node"


def masquerade_ruleset(pod_cidr: str, inside: Iterable[str]) -> str:
    """nft commands that replace the table.

    Within the cluster (`inside`: pod networks and node addresses) pods keep their own address; what a
    Service sends to an endpoint has its destination changed before this hook, so that it counts as inside.
    """
    elements = ", ".join(inside)
    return f"""\
table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
  comment "kubesvc node agent: source address of pods towards the outside"
  set inside {{ type ipv4_addr; flags interval; auto-merge; elements = {{ {elements} }} }}
  chain postrouting {{
    type nat hook postrouting priority srcnat + 10; policy accept;
    ip saddr {pod_cidr} ip daddr != @inside oifname != "lo" masquerade
  }}
}}
"""
