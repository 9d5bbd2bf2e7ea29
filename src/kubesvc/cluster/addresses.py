"""P: choose a cluster's networks so that they clash with nothing the machine already routes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from kubesvc.cluster.topology import POD_CIDR, SERVICE_CIDR

_DEFAULT_ROUTE = IPv4Network("0.0.0.0/0")
_THIS_NETWORK = IPv4Network("0.0.0.0/8")

# Tried in this order. The first is kubesvc's own habit; the rest serve machines whose VPN routes all of 10/8.
_NODE_RANGES = ("10.89.0.0/16", "172.29.0.0/16", "192.168.128.0/17", "100.104.0.0/16", "198.18.0.0/16")
_POOL_RANGES = ("10.90.0.0/16", "172.30.0.0/16", "192.168.0.0/17", "100.105.0.0/16", "198.19.0.0/16")


class NoFreeNetwork(Exception):
    """Every candidate overlaps something in use; or the one asked for does, or can hold no hosts."""


@dataclass(frozen=True, slots=True)
class Networks:
    """The two networks of a cluster that the host can see."""

    nodes: IPv4Network
    pool: IPv4Network


def choose_networks(
    occupied: Iterable[IPv4Network],
    *,
    nodes: IPv4Network | None = None,
    pool: IPv4Network | None = None,
) -> Networks:
    """Two networks clear of `occupied`; `nodes` and `pool` are taken as given, if they are clear.

    `occupied` holds the machine's addresses and routes and the networks of other clusters; the
    default route covers everything and therefore counts for nothing. Raises NoFreeNetwork.
    """
    taken = [network for network in occupied if network != _DEFAULT_ROUTE]
    chosen_nodes = _take(nodes, _NODE_RANGES, taken, flag="--node-network")
    chosen_pool = _take(pool, _POOL_RANGES, [*taken, chosen_nodes], flag="--load-balancer-pool")
    return Networks(nodes=chosen_nodes, pool=chosen_pool)


def _take(asked: IPv4Network | None, ranges: tuple[str, ...], taken: list[IPv4Network], *, flag: str) -> IPv4Network:
    if asked is not None:
        _check_usable(asked, flag)
    for candidate in [asked] if asked is not None else _candidates(ranges):
        clash = next((network for network in taken if network.overlaps(candidate)), None)
        if clash is None:
            return candidate
    if asked is not None:
        raise NoFreeNetwork(f"{flag} {asked} overlaps {clash}, which this machine already uses")
    raise NoFreeNetwork(f"no private /24 is free on this machine; choose one with {flag}")


def _check_usable(asked: IPv4Network, flag: str) -> None:
    """Refuse what the cluster itself uses inside, which the machine's routes do not show, and what is no unicast."""
    for own, use in ((SERVICE_CIDR, "Services"), (POD_CIDR, "pods")):
        if asked.overlaps(own):
            raise NoFreeNetwork(f"{flag} {asked} overlaps {own}, from which the cluster's {use} get their addresses")
    if asked.is_multicast or asked.is_reserved or asked.overlaps(_THIS_NETWORK):
        raise NoFreeNetwork(f"{flag} {asked} holds no addresses that hosts can have; take one from 10.0.0.0/8, say")


def _candidates(ranges: tuple[str, ...]) -> Iterator[IPv4Network]:
    for text in ranges:
        yield from IPv4Network(text).subnets(new_prefix=24)
