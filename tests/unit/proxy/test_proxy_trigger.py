"""The trigger time of a slice is anybody's annotation: what is wrong with it costs a measurement, nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.proxy.test_proxier import World

from kubesvc.proxy.proxier import TRIGGER_TIME
from kubesvc.testing.builders import endpoint_slice, service


async def test_a_trigger_time_that_is_none_costs_its_measurement_only() -> None:
    world = World()
    world.api.put(service("web"))
    async with world.running():
        await world.proxier.first_sync.wait()
        before = len(world.backend.calls)
        late = endpoint_slice("web", "10.1.2.3@b")
        late["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": "when it rains"}
        world.api.put(late)
        await world.until(lambda: len(world.backend.calls) > before)
        assert not world.proxier._triggers


@pytest.mark.parametrize(
    ("ago", "address", "measured"), [(-1.0, "10.1.2.3", 1), (3600.0, "10.1.2.3", 0), (-1.0, "fd00::1", 0)]
)
async def test_a_change_is_measured_in_its_family_if_it_is_newer_than_the_proxy(
    ago: float, address: str, measured: int
) -> None:
    world = World()
    world.api.put(service("web"))
    async with world.running():
        await world.proxier.first_sync.wait()
        before = len(world.backend.calls)
        slice_ = endpoint_slice("web", f"{address}@b")
        stamp = datetime.now(UTC) - timedelta(seconds=ago)
        slice_["metadata"]["annotations"] = {TRIGGER_TIME: stamp.isoformat().replace("+00:00", "Z")}
        world.api.put(slice_)
        world.api.put(endpoint_slice("web", "10.1.2.4@b", name="web-2"))
        await world.until(lambda: len(world.backend.calls) > before and not world.proxier._triggers)

        assert world.metrics.network_programming.count("IPv4") == measured
