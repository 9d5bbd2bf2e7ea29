"""What everything else needs, before everything else: the API's and the DNS's Services, asked for by name.

Listing a large cluster takes seconds, and until the lists are complete nothing that is in the kernel
may be replaced. Where nothing is there yet, as after boot, a few Services can be served at once.
"""

import asyncio
from collections.abc import Callable, Iterable

from kubesvc.api import views
from kubesvc.api.resources import ENDPOINTSLICES, NODES, SERVICES, Key
from kubesvc.api.status import ApiError
from kubesvc.client import Client, ClientError
from kubesvc.observe import log
from kubesvc.proxy.backend import CRITICAL, BackendError
from kubesvc.proxy.endpoints import LABEL_SERVICE_NAME
from kubesvc.proxy.family import FamilyProxy
from kubesvc.proxy.model import PortPlan, ServicePortName
from kubesvc.proxy.tracker import Tracker

PATIENCE_SECONDS = 2.0

Found = tuple[Key, views.Service, list[views.EndpointSlice]]

_log = log("proxy")


async def serve_critical(
    client: Client, families: Iterable[FamilyProxy], node_name: str, on_node: Callable[[views.Node], None]
) -> None:
    """Put the critical Services in force where no rules are yet; trouble is left to the first sync.

    `on_node` takes in the node, on which static rules depend, before any are made.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            node = await client.get(NODES, node_name, view=views.Node)
            found = [each for each in await asyncio.gather(*(_ask(client, key) for key in CRITICAL)) if each]
        on_node(node)
        for family in families:
            tracker = Tracker(family.tracker.family, node_name)
            tracker.set_node(node)
            plans = _plans(found, tracker)
            if plans:
                await family.backend.preload(plans)
    except (ClientError, ApiError, BackendError, OSError) as err:
        _log.debug("nothing served early", reason=err)


async def _ask(client: Client, key: Key) -> Found | None:
    """One Service and its slices; None if the API has no such Service."""
    selector = f"{LABEL_SERVICE_NAME}={key.name}"
    try:
        service = await client.get(SERVICES, key.name, namespace=key.namespace, view=views.Service)
    except ApiError:
        return None
    slices = await client.list(
        ENDPOINTSLICES, namespace=key.namespace, label_selector=selector, view=views.EndpointSlice
    )
    return key, service, slices.items


def _plans(found: Iterable[Found], tracker: Tracker) -> dict[ServicePortName, PortPlan]:
    plans: dict[ServicePortName, PortPlan] = {}
    for key, service, slices in found:
        tracker.set_service(key, service)
        for slice_ in slices:
            tracker.set_slice(Key(key.namespace, slice_.metadata.name), slice_)
        plans.update(tracker.plan(key).ports)
    return plans
