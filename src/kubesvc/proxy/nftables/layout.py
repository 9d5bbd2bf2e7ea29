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
        @services                                      dispatch: an address and port of a Service
        @cluster-ips                                   refuse: no such port
        @service-cidrs                                 drop: no such Service
        a local address -> node-port  @node-ports      dispatch, or go on
    dispatch       by kind: masquerade mark, then the cluster's or the local list
                   firewalled: dropped unless @allowed, then as any external address
    choose-cluster, choose-local  by class: refuse, drop, `sticky`, or `cluster-N` (`local-N`) for N slots
    cluster-N      @endpoints-tcp, -udp, -sctp         dnat

    postrouting    masquerade what is marked, and what goes back to where it came from (@hairpins)

The first packet of a connection pays for every rule and look-up on its way, so the way is short:
two look-ups of a verdict and two of an address. Packets after the first see no rule at all: there is
no filter chain. What a nat chain is not asked about goes untranslated, as with kube-proxy: packets
that are invalid to conntrack, and connections that began before the rules were there; of the latter,
those without an answer are forgotten after the first sync (`sweep.py`).

Refusals are made in the nat chains, so that they concern new connections only.
"""

import hashlib
from collections.abc import Iterable

from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables import words
from kubesvc.proxy.nftables.sticky import TRIES, sticky_chains, sticky_name
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
_LIST = f"meta priority & {words.LIST_MASK:#x}"
_TO_LOCAL = f"meta priority set meta priority | {words.LOCAL:#x}"


def table_text(settings: RuleSettings, sticky: Iterable[str] = ()) -> str:
    """The whole static table in nft's language; `sticky` names affinity chains needed from the start."""
    extra = dict.fromkeys(text for name in sticky for text in sticky_chains(settings.family, name))
    comment = f'  comment "{COMMENT}"'
    return table(settings.family, comment, *_body(settings), chain(mark_of(settings)), *extra)


def trial_text(settings: RuleSettings, name: str) -> str:
    """A table `name` with one chain of each kind that an old nftables or kernel does not know; quick to read."""
    ip = nft_family(settings.family)
    body = [*_maps(ip, settings), _picks(ip, 1), *sticky_chains(settings.family, sticky_name(1, 1, local=False))]
    return table(settings.family, *body).replace(TABLE, name)


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
    address = _address(ip)
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
    """One chain per size, and the one that leads to it for the local list."""
    sizes = [1 << (size_class - 1) for size_class in words.CLASSES]
    chains = [_picks(ip, size) for size in sizes]
    chains += [chain(f"local-{size}", f"{_TO_LOCAL} goto cluster-{size}") for size in sizes]
    by_client = (f"meta priority set {_LIST}", "meta priority vmap @sticky", "drop")
    chains.append(chain("cluster-sticky", *by_client))
    chains.append(chain("local-sticky", _TO_LOCAL, *by_client))
    return chains


def _picks(ip: str, size: int) -> str:
    """The chain that chooses from a list of this many slots."""
    tries = [size] * TRIES + [1] if size > 1 else [1, 1]
    picks = (
        f"meta l4proto {proto} dnat {ip} to {_LIST} . numgen random mod {mod} map @endpoints-{proto}"
        for mod in tries
        for proto in PROTOCOLS
    )
    return chain(f"cluster-{size}", *picks, "drop")


def _dispatch(ip: str, settings: RuleSettings) -> list[str]:
    address = f"{_address(ip)} . {ip} saddr"
    kinds = [f"{kind << words.KIND_SHIFT:#x} : goto {kind.name.lower().replace('_', '-')}" for kind in words.Kind]
    firewalled = [
        f"{words.FIREWALLED | kind << words.KIND_SHIFT:#x} : goto firewalled-{kind.name.lower().replace('_', '-')}"
        for kind in (words.Kind.EXTERNAL, words.Kind.EXTERNAL_LOCAL)
    ]
    cluster = _by_class("cluster", words.CLUSTER_MASK, 0)
    local = _by_class("local", words.LOCAL_MASK, words.LOCAL_SHIFT)
    return [
        chain("choose-cluster", *cluster),
        chain("internal", *_internal_masquerade(ip, settings), *cluster),
        chain("internal-local", *_internal_masquerade(ip, settings), *local),
        chain("external", _mark(settings), *cluster),
        chain(
            "external-local",
            *([f"{_from_pods(ip, settings)} goto choose-cluster"] if settings.pods else []),
            "fib saddr type local goto external",
            *local,
        ),
        chain("firewalled-external", f"{address} != @allowed drop", "goto external"),
        chain("firewalled-external-local", f"{address} != @allowed drop", "goto external-local"),
        chain(
            "dispatch",
            f"meta priority & {words.KIND_MASK | words.FIREWALLED:#x} vmap {{ {', '.join(kinds + firewalled)} }}",
            "drop",
        ),
    ]


def _by_class(list_: str, mask: int, shift: int) -> tuple[str, str]:
    """Rules that go to where an endpoint of the list is chosen, or say why there is none."""
    ways = {
        words.REJECT: ("goto refuse", "goto refuse"),
        words.DROP: ("drop", "drop"),
        **{number: (f"goto {list_}-{1 << (number - 1)}", f"goto {list_}-sticky") for number in words.CLASSES},
    }
    options = [
        f"{number << shift | flag:#x} : {way}"
        for number, either in ways.items()
        for flag, way in zip((0, words.AFFINITY), either, strict=True)
    ]
    return f"meta priority & {mask | words.AFFINITY:#x} vmap {{ {', '.join(options)} }}", "drop"


def _from_pods(ip: str, settings: RuleSettings, negate: str = "") -> str:
    if settings.pods.interface:
        return f'iifname {negate}"{settings.pods.interface}"'
    if len(settings.pods.cidrs) == 1:
        return f"{ip} saddr {negate}{settings.pods.cidrs[0]}"
    return f"{ip} saddr {negate}@pods"


def _internal_masquerade(ip: str, settings: RuleSettings) -> list[str]:
    if settings.masquerade_all:
        return [_mark(settings)]
    if settings.pods:
        return [f"{_from_pods(ip, settings, '!= ')} {_mark(settings)}"]
    return []


def _mark(settings: RuleSettings) -> str:
    return f"meta mark set meta mark | {settings.mark:#x}"


def _address(ip: str) -> str:
    return f"{ip} daddr . meta l4proto . th dport"


def _entry(ip: str, settings: RuleSettings) -> list[str]:
    node_port = "fib daddr type local goto node-port"
    if settings.nodeport_addresses is not None:
        node_port = f"{ip} daddr @node-port-addresses {node_port}"
    loopback = "127.0.0.0/8" if ip == "ip" else "::1"
    return [
        chain(
            "node-port",
            f"{ip} daddr {loopback} return",
            "meta priority set meta l4proto . th dport map @node-ports goto dispatch",
        ),
        chain(
            "services",
            # Anything but TCP, UDP and SCTP misses: the map has no such protocol.
            f"meta priority set {_address(ip)} map @services goto dispatch",
            f"{ip} daddr @cluster-ips goto refuse",
            f"{ip} daddr @service-cidrs drop",
            f"meta l4proto {{ tcp, udp, sctp }} {node_port}",
        ),
    ]


def _hooks(ip: str, settings: RuleSettings) -> list[str]:
    mark = f"{settings.mark:#x}"
    return [
        base_chain("nat-prerouting", "nat", "prerouting", "-100", "goto services"),
        base_chain("nat-output", "nat", "output", "-100", "goto services"),
        base_chain(
            "nat-postrouting", "nat", "postrouting", "100",
            f"ct status dnat meta priority set 0x0 {ip} saddr . {ip} daddr @hairpins masquerade fully-random",
            f"meta mark & {mark} == {mark} meta mark set meta mark ^ {mark} masquerade fully-random",
        ),
    ]  # fmt: skip
