"""P: choose a cluster's networks so that they clash with nothing the machine already routes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

_DEFAULT_ROUTE = IPv4Network("0.0.0.0/0")

# Tried in this order. The first is kubesvc's own habit; the rest serve machines whose VPN routes all of 10/8.
_NODE_RANGES = ("10.89.0.0/16", "172.29.0.0/16", "192.168.128.0/17", "100.104.0.0/16", "198.18.0.0/16")
_POOL_RANGES = ("10.90.0.0/16", "172.30.0.0/16", "192.168.0.0/17", "100.105.0.0/16", "198.19.0.0/16")


class NoFreeNetwork(Exception):
    """Every candidate overlaps something the machine routes; or the one asked for does."""


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
    for candidate in [asked] if asked is not None else _candidates(ranges):
        clash = next((network for network in taken if network.overlaps(candidate)), None)
        if clash is None:
            return candidate
    if asked is not None:
        raise NoFreeNetwork(f"{flag} {asked} overlaps {clash}, which this machine already uses")
    raise NoFreeNetwork(f"no private /24 is free on this machine; choose one with {flag}")


def _candidates(ranges: tuple[str, ...]) -> Iterator[IPv4Network]:
    for text in ranges:
        yield from IPv4Network(text).subnets(new_prefix=24)
