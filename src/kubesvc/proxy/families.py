"""Which address families a proxy serves: those whose rules this machine can hold, the node's own among them."""

import asyncio
from collections.abc import Callable, Iterable

from kubesvc.api import views
from kubesvc.api.resources import NODES
from kubesvc.api.status import ApiError
from kubesvc.client import Client, ClientError
from kubesvc.observe import log
from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.family import FamilyProxy
from kubesvc.proxy.model import Family
from kubesvc.proxy.options import ProxyOptions
from kubesvc.proxy.rules import primary_family

PATIENCE_SECONDS = 10.0

_log = log("proxy")


async def open_families(
    options: ProxyOptions, client: Client, supported: Iterable[Family], open_one: Callable[[Family], FamilyProxy]
) -> list[FamilyProxy]:
    """Every family that `open_one` can open. Raises its BackendError for the node's primary family.

    As kube-proxy goes on with one family where there is no ip6tables; the node is asked for only then.
    """
    opened: list[FamilyProxy] = []
    failed: dict[Family, BackendError] = {}
    for family in supported:
        try:
            opened.append(open_one(family))
        except BackendError as err:
            failed[family] = err
    if failed:
        primary = primary_family(await _node(client, options.node_name), options.bind_address)
        if primary in failed:
            raise failed[primary]
    for family, reason in failed.items():
        _log.warning("Services of this family are not served here", family=family, reason=reason)
    return opened


async def _node(client: Client, name: str) -> views.Node | None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await client.get(NODES, name, view=views.Node)
    except (ClientError, ApiError, OSError) as err:
        _log.debug("node not to be had", node=name, reason=err)
        return None
