"""The static part of the table: everything that does not depend on any Service.

Theory
------
The usual layout gives every Service chains and rules of its own. Here the rules are written once
and every Service is *elements* of a few maps: the number of rules is constant, dispatch is a hash
look-up, and a changed endpoint is one changed element. Three observations make that possible:

1. A map's key may contain `numgen random mod N`: the look-up itself chooses.
2. `meta priority` can be the value of one look-up and part of the key of the next (`words.py` has
   the words it carries). Marks stay untouched; the priority is zeroed before the packet leaves.
3. Sizes are powers of two with sparse slots (`slots.py`): there is one chain per size. A miss (a
   hole, or a commit between two look-ups of one packet) is tried again, then slot 0 is taken, then
   the packet is dropped: without that drop it would be confirmed untranslated.

The path of a connection's first packet:

    prerouting, output -> services
        @cluster-ips    -> cluster-ip   @services  ->  dispatch, or reject an undefined port
        @service-cidrs                                 drop: no such Service
        @firewalled and not @allowed                   drop
        @external-ips   -> external-ip  @services  ->  dispatch, or go on
        a local address -> node-port    @node-ports -> dispatch, or go on
    dispatch       by kind: masquerade mark, then the cluster's or the local list
    choose-cluster, choose-local  by class: reject, drop, `sticky`, or the size chain
    size-N         @endpoints-tcp, -udp, -sctp         dnat

    postrouting    masquerade what is marked, and what goes back to where it came from (@hairpins)
    forward, output (filter): what is still addressed to a Service was not translated (neither TCP,
                   UDP nor SCTP, or invalid to conntrack) and must not leave by a default route.

Refusals are made in the nat chains, so that they concern new connections only.
"""

import hashlib
from collections.abc import Iterable

from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables import words
from kubesvc.proxy.nftables.sticky import TRIES, sticky_chains
from kubesvc.proxy.nftables.syntax import (
    PROTOCOLS,
    TABLE,
    base_chain,
    chain,
    client_type,
    map_,
    nft_family,
    range_set,
    set_,
    table,
)
from kubesvc.proxy.rules import RuleSettings

AFFINITY_SIZE = 262144
COMMENT = "made by kubesvc proxy"
MARK = "layout-"


def table_text(settings: RuleSettings, sticky: Iterable[str] = ()) -> str:
    """The whole static table in nft's language; `sticky` names affinity chains needed from the start."""
    extra = dict.fromkeys(text for name in sticky for text in sticky_chains(settings.family, name))
    comment = f'  comment "{COMMENT}"'
    return table(settings.family, comment, *_body(settings), chain(mark_of(settings)), *extra)


def replace_text(settings: RuleSettings, sticky: Iterable[str] = (), marks: Iterable[str] = ()) -> str:
    """Commands that swap the rules of an existing table in one transaction and keep its elements.

    `marks` are the empty chains that named the layout until now.
    """
    ip = nft_family(settings.family)
    flushed = "".join(f"flush set {ip} {TABLE} {name}\n" for name in ("pods", "service-cidrs", "node-port-addresses"))
    unmarked = "".join(f"delete chain {ip} {TABLE} {mark}\n" for mark in marks)
    return f"flush table {ip} {TABLE}\n{flushed}{unmarked}{table_text(settings, sticky)}"


def mark_of(settings: RuleSettings) -> str:
    """The empty chain whose name says which layout is in force: unlike a comment, it can be exchanged."""
    return f"{MARK}{fingerprint(settings)}"


def fingerprint(settings: RuleSettings) -> str:
    """Names a static table; two tables of one fingerprint have the same rules, affinity chains apart."""
    return hashlib.sha256("\n".join(_body(settings)).encode()).hexdigest()[:16]


def _body(settings: RuleSettings) -> list[str]:
    ip = nft_family(settings.family)
    return [*_maps(ip, settings), *_refusals(settings.family), *_choice(ip), *_dispatch(ip, settings),
            *_entry(ip, settings), *_hooks(ip, settings)]  # fmt: skip


def _maps(ip: str, settings: RuleSettings) -> list[str]:
    address = f"{ip} daddr . meta l4proto . th dport"
    return [
        map_("services", f"{address} : meta priority", "counter"),
        map_("node-ports", "meta l4proto . th dport : meta priority", "counter"),
        *(
            map_(f"endpoints-{proto}", f"meta priority . numgen random mod 2 : {ip} daddr . {proto} dport", "counter")
            for proto in PROTOCOLS
        ),
        map_(
            "affinity", f"{client_type(settings.family)} . meta priority : meta priority",
            "flags dynamic,timeout", "timeout 24h", f"size {AFFINITY_SIZE}",
        ),
        map_("sticky", "meta priority : verdict"),
        map_("choices", "meta priority . numgen random mod 2 : meta priority"),
        *(map_(f"bound-{proto}", f"meta priority : {ip} daddr . {proto} dport", "counter") for proto in PROTOCOLS),
        set_("cluster-ips", f"{ip} daddr"),
        set_("external-ips", f"{ip} daddr"),
        set_("firewalled", address),
        set_("allowed", f"{address} . {ip} saddr", "flags interval"),
        set_("hairpins", f"{ip} saddr . {ip} daddr"),
        range_set("pods", f"{ip} saddr", settings.pods.cidrs),
        range_set("service-cidrs", f"{ip} daddr", settings.service_cidrs),
        range_set("node-port-addresses", f"{ip} daddr", settings.nodeport_addresses or ()),
    ]  # fmt: skip


def _refusals(family: Family) -> list[str]:
    icmp = "icmp" if family is Family.IPV4 else "icmpv6"
    return [
        chain("refuse", "meta l4proto tcp reject with tcp reset", f"reject with {icmp} type port-unreachable"),
    ]


def _choice(ip: str) -> list[str]:
    """One chain per size, and the two that lead to it for the cluster's and for the local list."""
    chains = []
    sizes = [1 << (size_class - 1) for size_class in words.CLASSES]
    for size in sizes:
        tries = [size] * TRIES + [1] if size > 1 else [1, 1]
        picks = (
            f"meta l4proto {proto} dnat {ip} to meta priority . numgen random mod {mod} map @endpoints-{proto}"
            for mod in tries
            for proto in PROTOCOLS
        )
        chains.append(chain(f"size-{size}", *picks, "drop"))
    to_list = f"meta priority set meta priority & {words.ID_MASK:#x}"
    to_local = f"meta priority set meta priority | {words.LOCAL:#x}"
    for size in sizes:
        chains.append(chain(f"cluster-{size}", to_list, f"goto size-{size}"))
        chains.append(chain(f"local-{size}", to_list, to_local, f"goto size-{size}"))
    chains.append(chain("cluster-sticky", to_list, "meta priority vmap @sticky", "drop"))
    chains.append(chain("local-sticky", to_list, to_local, "meta priority vmap @sticky", "drop"))
    return chains


def _dispatch(ip: str, settings: RuleSettings) -> list[str]:
    kinds = ", ".join(
        f"{kind << words.KIND_SHIFT:#x} : goto {kind.name.lower().replace('_', '-')}" for kind in words.Kind
    )
    return [
        chain("mark-masquerade", f"meta mark set meta mark | {settings.mark:#x}"),
        _by_class("choose-cluster", "cluster", words.CLUSTER_MASK, 0),
        _by_class("choose-local", "local", words.LOCAL_MASK, words.LOCAL_SHIFT),
        chain("internal", *_internal_masquerade(ip, settings), "goto choose-cluster"),
        chain("internal-local", *_internal_masquerade(ip, settings), "goto choose-local"),
        chain("external", "jump mark-masquerade", "goto choose-cluster"),
        chain(
            "external-local",
            *([f"{_from_pods(ip, settings)} goto choose-cluster"] if settings.pods else []),
            "fib saddr type local goto external",
            "goto choose-local",
        ),
        chain("dispatch", f"meta priority & {words.KIND_MASK:#x} vmap {{ {kinds} }}"),
    ]


def _by_class(name: str, list_: str, mask: int, shift: int) -> str:
    sizes = ", ".join(f"{number << shift:#x} : goto {list_}-{1 << (number - 1)}" for number in words.CLASSES)
    nothing = f"{words.REJECT << shift:#x} : goto refuse, {words.DROP << shift:#x} : drop"
    return chain(
        name,
        f"meta priority & {mask:#x} vmap {{ {nothing} }}",
        f"meta priority & {words.AFFINITY:#x} == {words.AFFINITY:#x} goto {list_}-sticky",
        f"meta priority & {mask:#x} vmap {{ {sizes} }}",
        "drop",
    )


def _from_pods(ip: str, settings: RuleSettings, negate: str = "") -> str:
    if settings.pods.interface:
        return f'iifname {negate}"{settings.pods.interface}"'
    if len(settings.pods.cidrs) == 1:
        return f"{ip} saddr {negate}{settings.pods.cidrs[0]}"
    return f"{ip} saddr {negate}@pods"


def _internal_masquerade(ip: str, settings: RuleSettings) -> list[str]:
    if settings.masquerade_all:
        return ["jump mark-masquerade"]
    if settings.pods:
        return [f"{_from_pods(ip, settings, '!= ')} jump mark-masquerade"]
    return []


def _entry(ip: str, settings: RuleSettings) -> list[str]:
    address = f"{ip} daddr . meta l4proto . th dport"
    node_port = "fib daddr type local goto node-port"
    if settings.nodeport_addresses is not None:
        node_port = f"{ip} daddr @node-port-addresses {node_port}"
    loopback = "127.0.0.0/8" if ip == "ip" else "::1"
    found = "meta priority != 0x0 goto dispatch"
    served = "meta l4proto { tcp, udp, sctp }"
    look_up = ["meta priority set 0x0", f"meta priority set {address} map @services", found]
    return [
        chain("cluster-ip", "meta l4proto != { tcp, udp, sctp } goto refuse", *look_up, "goto refuse"),
        chain("external-ip", *look_up),
        chain(
            "node-port",
            f"{ip} daddr {loopback} return",
            "meta priority set 0x0",
            "meta priority set meta l4proto . th dport map @node-ports",
            found,
        ),
        chain(
            "services",
            f"{ip} daddr @cluster-ips goto cluster-ip",
            f"{ip} daddr @service-cidrs drop",
            f"{served} {address} @firewalled {address} . {ip} saddr != @allowed drop",
            f"{served} {ip} daddr @external-ips jump external-ip",
            f"{served} {node_port}",
        ),
    ]


def _hooks(ip: str, settings: RuleSettings) -> list[str]:
    mark = f"{settings.mark:#x}"
    unserved = (
        "ct state established accept",  # nearly every packet: spare it the rest
        f"ct state {{ new, invalid }} {ip} daddr @cluster-ips goto refuse",
        f"ct state {{ new, invalid }} {ip} daddr @service-cidrs drop",
    )
    return [
        base_chain("nat-prerouting", "nat", "prerouting", "-100", "goto services"),
        base_chain("nat-output", "nat", "output", "-100", "goto services"),
        base_chain(
            "nat-postrouting", "nat", "postrouting", "100",
            "ct status dnat meta priority set 0x0",
            f"ct status dnat {ip} saddr . {ip} daddr @hairpins masquerade fully-random",
            f"meta mark & {mark} == {mark} meta mark set meta mark ^ {mark} masquerade fully-random",
        ),
        base_chain("filter-forward", "filter", "forward", "0", *unserved),
        base_chain("filter-output", "filter", "output", "0", *unserved),
    ]  # fmt: skip
