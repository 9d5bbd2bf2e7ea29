"""An object that is good and bad by turns fills neither the log nor the Events."""

import msgspec
import pytest
from tests.unit.proxy.test_proxier import World

from kubesvc.api.resources import ENDPOINTSLICES
from kubesvc.client.events import BURST
from kubesvc.testing.builders import endpoint_slice, service


async def test_a_flapping_object_is_logged_as_rarely_as_it_has_events(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.api.put(service("web"))
    good, bad = endpoint_slice("web", "10.1.2.3@b"), endpoint_slice("web", "not an address@b")
    async with world.running():
        await world.proxier.first_sync.wait()
        for _ in range(4 * BURST):
            for document in (bad, good):
                world.api.send_raw(ENDPOINTSLICES, "MODIFIED", msgspec.json.encode(document))
        await world.until(lambda: len(world.complaints) == 4 * BURST)

    assert len([record for record in caplog.records if record.getMessage() == "left out"]) == BURST
