"""Server-side apply through the whole API: created, merged, owned, refused."""

from typing import Any

from tests.unit.apiserver.world import World

SERVICES = "/api/v1/namespaces/default/services"
APPLY = "application/apply-patch+yaml"


def config(**spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "name": "http"}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": ports, **spec}}


async def apply(world: World, body: Any, manager: str = "me", **query: str) -> tuple[int, dict[str, Any]]:
    extra = "".join(f"&{name}={value}" for name, value in query.items())
    return await world.call("PATCH", f"{SERVICES}/web?fieldManager={manager}{extra}", body, content_type=APPLY)


def managers(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(entry["manager"], entry["operation"]) for entry in document["metadata"].get("managedFields", ())]


async def test_applying_creates_with_defaults_and_then_changes_nothing(world: World) -> None:
    code, created = await apply(world, config(selector={"app": "web"}))
    assert code == 201
    assert created["spec"]["type"] == "ClusterIP"
    assert created["spec"]["clusterIP"]
    assert managers(created) == [("me", "Apply")]
    code, again = await apply(world, config(selector={"app": "web"}))
    assert code == 200
    assert again == created


async def test_yaml_is_read_as_well(world: World) -> None:
    body = b"apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - port: 80\n"
    code, _ = await apply(world, body)
    assert code == 201


async def test_what_is_no_longer_applied_goes_and_what_the_server_chose_stays(world: World) -> None:
    _, created = await apply(world, config(selector={"app": "web"}, sessionAffinity="ClientIP"))
    code, changed = await apply(world, config(selector={"app": "web"}))
    assert code == 200
    assert changed["spec"]["sessionAffinity"] == "None"
    assert changed["spec"]["clusterIP"] == created["spec"]["clusterIP"]


async def test_others_are_refused_until_they_force(world: World) -> None:
    await apply(world, config(selector={"app": "web"}), "one")
    code, status = await apply(world, config(selector={"app": "db"}), "two")
    assert (code, status["reason"]) == (409, "Conflict")
    assert status["message"] == 'Apply failed with 1 conflict: conflict with "one": .spec.selector'
    assert status["details"]["causes"][0]["field"] == ".spec.selector"
    code, forced = await apply(world, config(selector={"app": "db"}), "two", force="true")
    assert code == 200
    assert forced["spec"]["selector"] == {"app": "db"}


async def test_other_writes_to_applied_objects_are_credited(world: World) -> None:
    await apply(world, config(selector={"app": "web"}))
    patch = {"spec": {"sessionAffinity": "ClientIP"}}
    code, patched = await world.call(
        "PATCH", f"{SERVICES}/web?fieldManager=kubectl-edit", patch, content_type="application/merge-patch+json"
    )
    assert code == 200
    assert managers(patched) == [("me", "Apply"), ("kubectl-edit", "Update")]
    code, put = await world.call("PUT", f"{SERVICES}/web", patched, headers={"User-Agent": "curl/8.0"})
    assert code == 200
    assert managers(put) == managers(patched)


async def test_objects_that_were_never_applied_carry_no_managed_fields(world: World) -> None:
    body = config()
    body["metadata"]["managedFields"] = [{"manager": "made-up"}]
    created = await world.create(SERVICES, body)
    assert managers(created) == []
    _, applied = await apply(world, config())
    assert managers(applied) == [("me", "Apply"), ("before-first-apply", "Update")]


async def test_applying_needs_a_manager_and_a_configuration(world: World) -> None:
    code, status = await apply(world, config(), "")
    assert code == 400
    assert "fieldManager" in status["message"]
    code, status = await apply(world, b"[1]")
    assert code == 400
    code, status = await apply(world, config(typo=1), fieldValidation="Strict")
    assert code == 400
    assert 'unknown field "spec.typo"' in status["message"]


async def test_a_dry_run_stores_nothing(world: World) -> None:
    code, _ = await apply(world, config(), dryRun="All")
    assert code == 201
    code, _ = await world.call("GET", f"{SERVICES}/web")
    assert code == 404
