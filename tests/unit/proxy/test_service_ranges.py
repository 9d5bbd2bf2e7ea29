"""ServiceCIDRs: followed where there are any, done without where there are none."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec

from kubesvc.aio.clock import SystemClock
from kubesvc.api.resources import SERVICECIDRS
from kubesvc.client import Client
from kubesvc.client.transport import Response
from kubesvc.proxy.ranges import ServiceRanges
from kubesvc.testing.local import LocalTransport


def range_of(name: str, *cidrs: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": name},
        "spec": {"cidrs": list(cidrs)},
    }


class Refusing(LocalTransport):
    """A server that answers every request with one code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__()
        self.code, self.reason, self.asked = code, reason, 0

    async def request(self, *_: Any, **__: Any) -> Response:
        self.asked += 1
        status = {"kind": "Status", "code": self.code, "reason": self.reason, "message": "no"}
        return Response(self.code, msgspec.json.encode(status), {})


async def test_ranges_are_those_of_all_objects_as_they_come_and_go() -> None:
    api = LocalTransport()
    api.put(range_of("kubernetes", "10.96.0.0/16", "fd00:96::/112"))
    seen: list[tuple[str, ...]] = []
    ranges = ServiceRanges(Client(api), SystemClock(), lambda: seen.append(ranges.cidrs))
    await ranges.first_look()
    following = asyncio.create_task(ranges.run())
    async with asyncio.timeout(5):
        api.put(range_of("more", "10.97.0.0/16"))
        while len(seen) < 2:
            await asyncio.sleep(0)
        api.remove(SERVICECIDRS, "more")
        while len(seen) < 3:
            await asyncio.sleep(0)
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following

    first = ("10.96.0.0/16", "fd00:96::/112")
    assert seen == [first, ("10.96.0.0/16", "10.97.0.0/16", "fd00:96::/112"), first]


async def test_a_server_without_them_is_not_asked_again() -> None:
    for code, reason in ((404, "NotFound"), (403, "Forbidden")):
        api = Refusing(code, reason)
        ranges = ServiceRanges(Client(api), SystemClock(), lambda: None)
        await ranges.first_look()
        await ranges.run()

        assert (ranges.cidrs, api.asked) == ((), 1)
