"""The cluster's own word on where Services have their addresses: ServiceCIDRs (networking.k8s.io/v1, KEP-1880).

They complete what `--service-cidr` says. A server without that API, or that does not let us read it,
leaves it at that.
"""

import asyncio
from collections.abc import Callable, Iterable

from kubesvc.aio.clock import Clock
from kubesvc.api.resources import SERVICECIDRS, Key
from kubesvc.api.status import ApiError, Forbidden, NotFound
from kubesvc.api.views import ServiceCIDR
from kubesvc.client import Client, ClientError, Informer
from kubesvc.observe import log

PATIENCE_SECONDS = 2.0
RETRY_SECONDS = 5.0

_log = log("proxy")


class ServiceRanges:
    """`cidrs` are what the ServiceCIDRs say now, sorted; `changed` is called when that becomes different."""

    def __init__(self, client: Client, clock: Clock, changed: Callable[[], None]) -> None:
        self.cidrs: tuple[str, ...] = ()
        self._client, self._clock, self._changed = client, clock, changed
        self._offered: bool | None = None

    async def first_look(self) -> None:
        """Read them once before anything is written, so that rules are not made twice; an absent API has its chance."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._look()
        except TimeoutError:
            return

    async def run(self) -> None:
        """Follow them; returns only where there are none to follow."""
        while self._offered is None:
            await self._look()
            if self._offered is None:
                await self._clock.sleep(RETRY_SECONDS)
        if not self._offered:
            return
        informer = Informer(self._client, SERVICECIDRS, ServiceCIDR, clock=self._clock)

        def take(_key: Key, _old: ServiceCIDR | None, _new: ServiceCIDR | None) -> None:
            # Before the first list is complete, the objects seen so far are not yet all there are.
            if informer.synced.is_set():
                self._set(informer.objects.values())

        informer.subscribe(take)
        async with asyncio.TaskGroup() as group:
            group.create_task(informer.run(), name="proxy-watch-servicecidrs")
            await informer.synced.wait()
            self._set(informer.objects.values())

    async def _look(self) -> None:
        try:
            self._set((await self._client.list(SERVICECIDRS, view=ServiceCIDR)).items)
            self._offered = True
        except (NotFound, Forbidden) as err:
            _log.info("no ServiceCIDRs to follow, --service-cidr alone counts", reason=err)
            self._offered = False
        except (ApiError, ClientError) as err:
            _log.debug("ServiceCIDRs not read", reason=err)

    def _set(self, objects: Iterable[ServiceCIDR]) -> None:
        cidrs = tuple(sorted({cidr for each in objects for cidr in each.spec.cidrs or ()}))
        if cidrs != self.cidrs:
            self.cidrs = cidrs
            self._changed()
