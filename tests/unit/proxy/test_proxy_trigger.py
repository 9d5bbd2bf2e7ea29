"""The trigger time of a slice is anybody's annotation: what is wrong with it costs a measurement, nothing else."""

from tests.unit.proxy.test_proxier import World

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
