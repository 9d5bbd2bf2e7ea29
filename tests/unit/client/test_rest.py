"""Requests say what they mean, and refusals come back as the exceptions they were."""

import pytest

from kubesvc.api.resources import PODS, SERVICES
from kubesvc.api.status import AlreadyExists, Conflict, NotFound
from kubesvc.api.views import Service
from kubesvc.client import Client
from kubesvc.testing.builders import pod, service
from kubesvc.testing.local import LocalTransport


async def test_an_object_is_created_read_changed_and_deleted() -> None:
    api = LocalTransport()
    async with Client(api) as client:
        await client.create(SERVICES, service("web"))
        assert (await client.get(SERVICES, "web", namespace="default", view=Service)).spec.cluster_ip == "10.96.0.100"
        await client.patch(SERVICES, "web", {"spec": {"type": "NodePort"}}, namespace="default")
        assert (await client.get(SERVICES, "web", namespace="default"))["spec"]["type"] == "NodePort"
        await client.delete(SERVICES, "web", namespace="default")
        with pytest.raises(NotFound, match='services "web" not found'):
            await client.get(SERVICES, "web", namespace="default")


async def test_refusals_are_exceptions_of_their_kind() -> None:
    api = LocalTransport(service("web"))
    async with Client(api) as client:
        with pytest.raises(AlreadyExists):
            await client.create(SERVICES, service("web"))
        stale = await client.get(SERVICES, "web", namespace="default")
        api.put(service("web", port=81))
        with pytest.raises(Conflict, match="the object has been modified"):
            await client.update(SERVICES, stale)


async def test_a_list_sets_bad_objects_aside() -> None:
    api = LocalTransport(service("a"), service("b") | {"spec": {"ports": 1}})
    async with Client(api) as client:
        listing = await client.list(SERVICES, view=Service)
    assert [item.metadata.name for item in listing.items] == ["a"]
    assert len(listing.bad) == 1
    assert listing.resource_version == str(api.revision)


async def test_deletion_carries_grace_and_preconditions() -> None:
    api = LocalTransport(pod("web-1", node="node-a", ip="10.0.0.1"))
    async with Client(api) as client:
        with pytest.raises(Conflict):
            await client.delete(PODS, "web-1", namespace="default", uid="another")
        await client.delete(PODS, "web-1", namespace="default", grace_seconds=0, propagation="Background")
    assert api.documents(PODS) == []
    assert api.calls[-1].body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Background",
    }
