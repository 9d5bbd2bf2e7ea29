"""The announcer: routes in the router for load-balancer addresses, and the objects a new cluster starts with.

It lives in the router's namespace and follows the API. It only ever touches host routes inside the
cluster's own pool; the rest of the pool stays unreachable.
"""

import asyncio
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from kubesvc.api.resources import ENDPOINTSLICES, NODES, SERVICES, Key
from kubesvc.api.status import AlreadyExists, ApiError
from kubesvc.api.views import EndpointSlice, Node, Service
from kubesvc.client.errors import ConnectionFailed
from kubesvc.client.informer import Informer
from kubesvc.client.rest import Client
from kubesvc.cluster.announcements import Ways, announced_ways
from kubesvc.cluster.manifests import bootstrap_objects
from kubesvc.linux.netlink import NetlinkError, Nexthop, RouteSocket
from kubesvc.observe import log

_RETRY = 0.05
_BRIDGE = "br0"

_log = log("announcer")


@dataclass(frozen=True, slots=True)
class AnnouncerOptions:
    """`bootstrapped` is a mark: while it is missing, the cluster's first objects are created."""

    kubeconfig: Path
    pool: IPv4Network
    bootstrapped: Path


async def run(options: AnnouncerOptions) -> None:
    """Announce until cancelled."""
    async with Client.from_kubeconfig(options.kubeconfig, user_agent="kubesvc-announcer") as client:
        if not _marked(options.bootstrapped):
            await _bootstrap(client)
            _mark(options.bootstrapped)
        await _announce(client, options.pool)


async def _bootstrap(client: Client) -> None:
    """Create kube-dns, once in a cluster's life; a person may replace or remove it later."""
    for resource, document in bootstrap_objects():
        while True:
            try:
                await client.create(resource, document)
                break
            except AlreadyExists:
                break
            except (ConnectionFailed, ApiError) as err:
                _log.debug("not created yet", kind=resource.kind, reason=err)
            await asyncio.sleep(_RETRY)


async def _announce(client: Client, pool: IPv4Network) -> None:
    services = Informer(client, SERVICES, Service)
    slices = Informer(client, ENDPOINTSLICES, EndpointSlice)
    nodes = Informer(client, NODES, Node)
    changed = asyncio.Event()

    def note(_key: Key, _old: object, _new: object) -> None:
        changed.set()

    async with asyncio.TaskGroup() as group:
        for informer in (services, slices, nodes):
            informer.subscribe(note)
            group.create_task(informer.run(), name=f"informer {informer.resource.plural}")
        for informer in (services, slices, nodes):
            await informer.synced.wait()
        applied = _routes_in_kernel(pool)
        changed.set()
        while True:
            await changed.wait()
            changed.clear()
            wanted = announced_ways(
                services.objects.values(), slices.objects.values(), nodes.objects.values(), pool=pool
            )
            applied = _apply(applied, wanted)
            if applied != wanted:
                asyncio.get_running_loop().call_later(1.0, changed.set)


def _marked(mark: Path) -> bool:
    return mark.exists()


def _mark(mark: Path) -> None:
    mark.touch()


def _routes_in_kernel(pool: IPv4Network) -> Ways:
    """What an earlier run of ours has left in force."""
    with RouteSocket() as socket:
        return {
            route.dst.removesuffix("/32"): tuple(sorted([w.via for w in route.nexthops] or [route.via]))
            for route in socket.routes()
            if route.dst.endswith("/32") and IPv4Network(route.dst).subnet_of(pool)
        }


def _apply(applied: Ways, wanted: Ways) -> Ways:
    """Change the routes that differ; the result is what is in force."""
    now = dict(applied)
    with RouteSocket() as socket:
        for vip in sorted(applied.keys() | wanted.keys()):
            ways = wanted.get(vip, ())
            if applied.get(vip, ()) == ways:
                continue
            try:
                if ways:
                    socket.route_replace(f"{vip}/32", nexthops=[Nexthop(via=way, dev=_BRIDGE) for way in ways])
                    now[vip] = ways
                else:
                    socket.route_delete(f"{vip}/32")
                    now.pop(vip, None)
            except NetlinkError as err:
                _log.error("route not changed", address=vip, ways=",".join(ways), reason=err)
                continue
            _log.info("announced", address=vip, ways=",".join(ways) or "none")
    return now
