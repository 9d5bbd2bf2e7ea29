"""What nobody notices comes to light at last: everything is compared every hour, also where nothing else happens."""

import pytest
from tests.unit.proxy.test_proxier import World

from kubesvc.testing.builders import endpoint_slice, service


async def test_everything_is_compared_again_although_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubesvc.proxy.proxier.FULL_SYNC_SECONDS", 0.01)
    monkeypatch.setattr("kubesvc.proxy.proxier.CHECK_SECONDS", 0.001)
    world = World()
    world.api.put(service("web"))
    world.api.put(endpoint_slice("web", "10.1.2.3@b"))
    async with world.running():
        await world.until(lambda: [what for what, _ in world.backend.calls].count("full") >= 3)

    assert world.backend.intact()
