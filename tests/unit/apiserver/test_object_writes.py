"""Create, update, patch and delete as clients see them."""

import asyncio
from typing import Any

from tests.unit.apiserver.world import World

SERVICES = "/api/v1/namespaces/default/services"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def config(name: str = "", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata} if name else metadata, "data": {"a": "1"}}


async def test_a_created_object_has_what_only_the_server_gives(world: World) -> None:
    made = await world.create(CONFIGMAPS, config("x", uid="mine", creationTimestamp="2000-01-01T00:00:00Z"))
    metadata = made["metadata"]
    assert (made["kind"], made["apiVersion"], metadata["namespace"]) == ("ConfigMap", "v1", "default")
    assert metadata["uid"] not in ("", "mine")
    assert metadata["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert await world.get(f"{CONFIGMAPS}/x") == made


async def test_creating_what_exists_is_refused(world: World) -> None:
    await world.create(CONFIGMAPS, config("x"))
    assert await world.refusal("POST", CONFIGMAPS, config("x")) == (
        409, "AlreadyExists", 'configmaps "x" already exists',
    )  # fmt: skip


async def test_a_generated_name_starts_with_its_base(world: World) -> None:
    made = await world.create(CONFIGMAPS, config(generateName="long-" * 20))
    name = made["metadata"]["name"]
    assert len(name) == 63
    assert name.startswith("long-" * 11)


async def test_an_object_without_any_name_is_invalid(world: World) -> None:
    code, reason, message = await world.refusal("POST", CONFIGMAPS, config())
    assert (code, reason) == (422, "Invalid")
    assert "metadata.name: Required value: name or generateName is required" in message


async def test_a_namespace_that_is_missing_or_ending_takes_nothing(world: World) -> None:
    url = "/api/v1/namespaces/other/configmaps"
    assert await world.refusal("POST", url, config("x")) == (404, "NotFound", 'namespaces "other" not found')
    await world.create("/api/v1/namespaces", {"metadata": {"name": "other"}})
    code, ending = await world.call("DELETE", "/api/v1/namespaces/other")
    assert (code, ending["status"]["phase"]) == (200, "Terminating")
    code, status = await world.call("POST", url, config("x"))
    assert (code, status["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    assert status["message"] == (
        'configmaps "x" is forbidden: unable to create new content in namespace other because it is being terminated'
    )


async def test_url_and_document_must_agree(world: World) -> None:
    code, reason, _ = await world.refusal("POST", CONFIGMAPS, config("x", namespace="other"))
    assert (code, reason) == (400, "BadRequest")
    code, reason, message = await world.refusal("POST", CONFIGMAPS, {"kind": "Service", **config("x")})
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith('Service in version "v1" cannot be handled as a ConfigMap')
    await world.create(CONFIGMAPS, config("x"))
    assert await world.refusal("PUT", f"{CONFIGMAPS}/x", config("y")) == (
        400, "BadRequest", "the name of the object (y) does not match the name on the URL (x)",
    )  # fmt: skip


async def test_unknown_fields_warn_or_refuse_as_asked(world: World) -> None:
    body = {**config("x"), "dta": {}}
    await world.create(CONFIGMAPS, body)
    assert world.warnings == ['unknown field "dta"']
    code, _, message = await world.refusal("POST", f"{CONFIGMAPS}?fieldValidation=Strict", body)
    assert (code, message.partition(": ")[2]) == (400, 'strict decoding error: unknown field "dta"')
    await world.call("DELETE", f"{CONFIGMAPS}/x")
    made = await world.create(f"{CONFIGMAPS}?fieldValidation=Ignore", body)
    assert world.warnings == []
    assert "dta" not in made


async def test_a_dry_run_takes_every_step_and_stores_nothing(world: World) -> None:
    revision = world.backend.revision
    spec = {"ports": [{"port": 80}]}
    made = await world.create(f"{SERVICES}?dryRun=All", {"metadata": {"name": "x"}, "spec": spec})
    assert made["spec"]["clusterIP"].startswith("10.96.")
    assert world.backend.revision == revision


async def test_an_update_based_on_an_old_state_conflicts(world: World) -> None:
    first = await world.create(CONFIGMAPS, config("x"))
    code, _ = await world.call("PUT", f"{CONFIGMAPS}/x", {**first, "data": {"a": "2"}})
    assert code == 200
    words = "the object has been modified; please apply your changes to the latest version and try again"
    assert await world.refusal("PUT", f"{CONFIGMAPS}/x", {**first, "data": {"a": "3"}}) == (
        409, "Conflict", f'Operation cannot be fulfilled on configmaps "x": {words}',
    )  # fmt: skip


async def test_an_update_without_a_revision_is_unconditional_where_the_kind_allows(world: World) -> None:
    await world.create(CONFIGMAPS, config("x"))
    code, _ = await world.call("PUT", f"{CONFIGMAPS}/x", config("x"))
    assert code == 200
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    await world.create(leases, {"metadata": {"name": "l"}})
    code, _, message = await world.refusal("PUT", f"{leases}/l", {"metadata": {"name": "l"}, "spec": {}})
    assert code == 422
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in message


async def test_an_update_that_changes_nothing_keeps_the_revision(world: World) -> None:
    first = await world.create(CONFIGMAPS, config("x"))
    _, again = await world.call("PUT", f"{CONFIGMAPS}/x", first)
    assert again == first
    assert world.backend.revision == int(first["metadata"]["resourceVersion"])


async def test_server_fields_survive_an_update_that_leaves_them_out(world: World) -> None:
    first = await world.create(CONFIGMAPS, config("x"))
    _, second = await world.call("PUT", f"{CONFIGMAPS}/x", {"metadata": {"name": "x"}, "data": {"a": "2"}})
    for name in ("uid", "creationTimestamp", "namespace"):
        assert second["metadata"][name] == first["metadata"][name]


async def test_putting_an_absent_service_creates_it_and_an_absent_config_map_does_not(world: World) -> None:
    body = {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 80}]}}
    code, made = await world.call("PUT", f"{SERVICES}/x", body)
    assert (code, made["metadata"]["name"]) == (201, "x")
    assert await world.refusal("PUT", f"{CONFIGMAPS}/x", config("x")) == (
        404, "NotFound", 'configmaps "x" not found',
    )  # fmt: skip


async def test_each_kind_of_patch(world: World) -> None:
    await world.create(CONFIGMAPS, config("x", labels={"a": "1"}))
    url = f"{CONFIGMAPS}/x"
    merge, strategic = "application/merge-patch+json", "application/strategic-merge-patch+json"
    _, one = await world.call("PATCH", url, {"data": {"b": "2"}}, content_type=merge)
    _, two = await world.call("PATCH", url, {"metadata": {"labels": {"a": None, "c": "3"}}}, content_type=strategic)
    operations = [{"op": "replace", "path": "/data/a", "value": "9"}]
    _, three = await world.call("PATCH", url, operations, content_type="application/json-patch+json")
    assert one["data"] == {"a": "1", "b": "2"}
    assert two["metadata"]["labels"] == {"c": "3"}
    assert three["data"] == {"a": "9", "b": "2"}


async def test_a_patch_of_another_media_type_is_refused(world: World) -> None:
    await world.create(CONFIGMAPS, config("x"))
    code, reason, _ = await world.refusal("PATCH", f"{CONFIGMAPS}/x", {}, content_type="application/json")
    assert (code, reason) == (415, "UnsupportedMediaType")


async def test_a_patch_with_a_stale_revision_conflicts(world: World) -> None:
    await world.create(CONFIGMAPS, config("x"))
    body = {"metadata": {"resourceVersion": "1"}}
    code, reason, _ = await world.refusal("PATCH", f"{CONFIGMAPS}/x", body, content_type="application/merge-patch+json")
    assert (code, reason) == (409, "Conflict")


async def test_a_delete_says_what_it_deleted(world: World) -> None:
    made = await world.create(CONFIGMAPS, config("x"))
    code, status = await world.call("DELETE", f"{CONFIGMAPS}/x")
    assert (code, status["status"]) == (200, "Success")
    assert status["details"] == {"name": "x", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert await world.refusal("DELETE", f"{CONFIGMAPS}/x") == (404, "NotFound", 'configmaps "x" not found')


async def test_a_delete_of_another_uid_conflicts(world: World) -> None:
    made = await world.create(CONFIGMAPS, config("x"))
    code, _, message = await world.refusal("DELETE", f"{CONFIGMAPS}/x", {"preconditions": {"uid": "other"}})
    assert code == 409
    uid = made["metadata"]["uid"]
    assert message.endswith(f"Precondition failed: UID in precondition: other, UID in object meta: {uid}")


async def test_finalizers_hold_an_object_until_they_are_gone(world: World) -> None:
    await world.create(CONFIGMAPS, config("x", finalizers=["example.com/hold"]))
    code, held = await world.call("DELETE", f"{CONFIGMAPS}/x")
    assert (code, held["metadata"]["deletionTimestamp"]) == (200, "2026-01-01T00:00:00Z")
    patch = {"metadata": {"finalizers": None}}
    await world.call("PATCH", f"{CONFIGMAPS}/x", patch, content_type="application/merge-patch+json")
    code, _, _ = await world.refusal("GET", f"{CONFIGMAPS}/x")
    assert code == 404


async def test_propagation_leaves_work_for_the_garbage_collector(world: World) -> None:
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        await world.create(CONFIGMAPS, config(policy.lower()))
        _, held = await world.call("DELETE", f"{CONFIGMAPS}/{policy.lower()}?propagationPolicy={policy}")
        assert held["metadata"]["finalizers"] == [finalizer]


async def test_delete_collection_deletes_what_matches(world: World) -> None:
    await world.create(CONFIGMAPS, config("a", labels={"x": "1"}))
    await world.create(CONFIGMAPS, config("b", labels={"x": "2"}))
    _, deleted = await world.call("DELETE", f"{CONFIGMAPS}?labelSelector=x%3D1")
    assert [item["metadata"]["name"] for item in deleted["items"]] == ["a"]
    left = await world.get(CONFIGMAPS)
    assert [item["metadata"]["name"] for item in left["items"]] == ["b"]


async def test_a_status_write_changes_the_status_alone(world: World) -> None:
    nodes = "/api/v1/nodes"
    await world.create(nodes, {"metadata": {"name": "n"}})
    body = {
        "metadata": {"name": "n"},
        "spec": {"unschedulable": True},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.5"}]},
    }
    _, written = await world.call("PUT", f"{nodes}/n/status", body)
    assert written["status"]["addresses"][0]["address"] == "192.0.2.5"
    assert "unschedulable" not in written.get("spec", {})


async def test_yaml_bodies_are_read(world: World) -> None:
    text = b"metadata: {name: x}\ndata: {a: 'yes'}\n"
    code, made = await world.call("POST", CONFIGMAPS, text, content_type="application/yaml")
    assert (code, made["data"]) == (201, {"a": "yes"})


async def test_bodies_nobody_understands_are_refused(world: World) -> None:
    code, reason, _ = await world.refusal("POST", CONFIGMAPS, b"{", content_type="application/json")
    assert (code, reason) == (400, "BadRequest")
    code, reason, _ = await world.refusal("POST", CONFIGMAPS, b"[]", content_type="application/json")
    assert (code, reason) == (400, "BadRequest")
    code, reason, _ = await world.refusal("POST", CONFIGMAPS, b"x", content_type="text/csv")
    assert (code, reason) == (415, "UnsupportedMediaType")
    code, reason, _ = await world.refusal("GET", CONFIGMAPS, accept="text/csv")
    assert (code, reason) == (406, "NotAcceptable")


async def test_a_namespace_ends_when_its_spec_is_finalized(world: World) -> None:
    made = await world.create("/api/v1/namespaces", {"metadata": {"name": "x"}})
    assert made["spec"]["finalizers"] == ["kubernetes"]
    await world.call("DELETE", "/api/v1/namespaces/x")
    _, ending = await world.call("GET", "/api/v1/namespaces/x")
    code, _ = await world.call("PUT", "/api/v1/namespaces/x/finalize", {**ending, "spec": {}})
    assert code == 200
    assert (await world.refusal("GET", "/api/v1/namespaces/x"))[0] == 404
    code, _, message = await world.refusal("DELETE", "/api/v1/namespaces/default")
    assert (code, message) == (403, 'namespaces "default" is forbidden: this namespace may not be deleted')


async def test_a_deployment_is_scaled_through_its_scale(world: World) -> None:
    url = "/apis/apps/v1/namespaces/default/deployments"
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    await world.create(url, {"metadata": {"name": "d"}, "spec": spec})
    merge = "application/merge-patch+json"
    _, scale = await world.call("PATCH", f"{url}/d/scale", {"spec": {"replicas": 4}}, content_type=merge)
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale", {"replicas": 4}, {"replicas": 0, "selector": "app=x"},
    )  # fmt: skip
    deployment = await world.get(f"{url}/d")
    assert (deployment["spec"]["replicas"], deployment["metadata"]["generation"]) == (4, 2)
    code, _, message = await world.refusal("PUT", f"{url}/d/scale", {"spec": {"replicas": -1}})
    assert (code, message.partition(": ")[0]) == (422, 'Scale.autoscaling "d" is invalid')


async def test_an_update_that_changes_nothing_is_answered_once_what_it_found_is_durable(world: World) -> None:
    made = await world.create(CONFIGMAPS, config("x"))
    changed = made | {"data": {"a": "2"}}
    del changed["metadata"]["resourceVersion"]
    first = asyncio.create_task(world.call("PUT", f"{CONFIGMAPS}/x", changed))
    _, second = await world.call("PUT", f"{CONFIGMAPS}/x", changed)
    assert await world.get(f"{CONFIGMAPS}/x") == second
    assert (await first)[1] == second


async def test_a_full_disk_refuses_writes_and_only_those(world: World) -> None:
    await world.create(CONFIGMAPS, config("before"))
    (pages,) = world.backend._connection.execute("PRAGMA page_count").fetchone()
    world.backend._connection.execute(f"PRAGMA max_page_count={pages}")
    body = {"metadata": {"name": "big"}, "data": {"a": "x" * 100_000}}
    code, reason, message = await world.refusal("POST", CONFIGMAPS, body)
    assert (code, reason) == (500, "InternalError")
    assert message == "the object could not be stored: database or disk is full"
    assert (await world.refusal("GET", f"{CONFIGMAPS}/big"))[0] == 404
    reply: Any = await world.reply("GET", "/readyz/store")
    assert reply.status == 503
    world.backend._connection.execute("PRAGMA max_page_count=1000000")
    await world.create(CONFIGMAPS, body)
    assert len((await world.get(CONFIGMAPS))["items"]) == 2
