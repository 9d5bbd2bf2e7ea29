"""Get and list: revisions, pages, selectors, forms."""

from typing import Any

import pytest
from tests.unit.apiserver.world import World

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def fill(world: World, *names: str, **labels: str) -> None:
    for name in names:
        await world.create(CONFIGMAPS, {"metadata": {"name": name, "labels": labels}})


def names(listing: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in listing["items"]]


async def test_a_list_says_its_kind_and_revision(world: World) -> None:
    await fill(world, "b", "a")
    listing = await world.get(CONFIGMAPS)
    assert (listing["kind"], listing["apiVersion"], names(listing)) == ("ConfigMapList", "v1", ["a", "b"])
    assert listing["metadata"] == {"resourceVersion": str(world.backend.revision)}


async def test_a_list_of_all_namespaces_goes_by_namespace_then_name(world: World) -> None:
    await world.create("/api/v1/namespaces/kube-public/configmaps", {"metadata": {"name": "a"}})
    await fill(world, "z")
    assert names(await world.get("/api/v1/configmaps")) == ["z", "a"]


async def test_pages_show_the_state_of_the_first_one(world: World) -> None:
    await fill(world, "a", "b", "c")
    first = await world.get(f"{CONFIGMAPS}?limit=2")
    await world.call("DELETE", f"{CONFIGMAPS}/c")
    await fill(world, "d")
    assert (names(first), first["metadata"]["remainingItemCount"]) == (["a", "b"], 1)
    rest = await world.get(f"{CONFIGMAPS}?limit=2&continue={first['metadata']['continue']}")
    assert (names(rest), rest["metadata"]) == (["c"], {"resourceVersion": first["metadata"]["resourceVersion"]})


async def test_pages_with_a_selector_count_what_matches(world: World) -> None:
    await fill(world, "a", "c", "e", keep="yes")
    await fill(world, "b", "d", keep="no")
    first = await world.get(f"{CONFIGMAPS}?limit=2&labelSelector=keep=yes")
    assert (names(first), "remainingItemCount" in first["metadata"]) == (["a", "c"], False)
    rest = await world.get(f"{CONFIGMAPS}?limit=2&labelSelector=keep=yes&continue={first['metadata']['continue']}")
    assert (names(rest), "continue" in rest["metadata"]) == (["e"], False)


async def test_an_exact_revision_shows_the_past(world: World) -> None:
    await fill(world, "a")
    then = world.backend.revision
    await fill(world, "b")
    past = await world.get(f"{CONFIGMAPS}?resourceVersion={then}&resourceVersionMatch=Exact")
    newest = await world.get(f"{CONFIGMAPS}?resourceVersion={then}")
    assert (names(past), names(newest)) == (["a"], ["a", "b"])
    assert past["metadata"]["resourceVersion"] == str(then)


async def test_a_revision_of_the_future_is_refused(world: World) -> None:
    current = world.backend.revision
    code, reason, message = await world.refusal("GET", f"{CONFIGMAPS}?resourceVersion=99999")
    assert (code, reason) == (504, "Timeout")
    assert message == f"Too large resource version: 99999, current: {current}"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("resourceVersionMatch=Exact", "forbidden unless resourceVersion is provided"),
        ("resourceVersion=1&resourceVersionMatch=Nearly", "Unsupported value"),
        ("resourceVersion=0&resourceVersionMatch=Exact", 'forbidden for resourceVersion "0"'),
    ],
)
async def test_match_rules_that_make_no_sense_are_invalid(world: World, query: str, words: str) -> None:
    code, reason, message = await world.refusal("GET", f"{CONFIGMAPS}?{query}")
    assert (code, reason) == (422, "Invalid")
    assert words in message


@pytest.mark.parametrize("query", ["continue=%25%25", "limit=x", "resourceVersion=abc", "labelSelector=a%20b"])
async def test_unreadable_parameters_are_bad_requests(world: World, query: str) -> None:
    code, reason, _ = await world.refusal("GET", f"{CONFIGMAPS}?{query}")
    assert (code, reason) == (400, "BadRequest")


async def test_field_selectors_select_and_unknown_ones_are_refused(world: World) -> None:
    await fill(world, "a", "b")
    assert names(await world.get(f"{CONFIGMAPS}?fieldSelector=metadata.name%3Db")) == ["b"]
    assert names(await world.get(f"{CONFIGMAPS}?fieldSelector=metadata.name!%3Db")) == ["a"]
    code, _, message = await world.refusal("GET", f"{CONFIGMAPS}?fieldSelector=spec.x%3Db")
    assert (code, message) == (400, "field label not supported: spec.x")


async def test_a_table_has_a_row_per_object_with_its_metadata(world: World) -> None:
    table = await world.get("/api/v1/namespaces/default/services", accept=TABLE)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in table["columnDefinitions"]][:3] == ["Name", "Type", "Cluster-IP"]
    (row,) = table["rows"]
    assert row["cells"][:3] == ["kubernetes", "ClusterIP", "10.96.0.1"]
    assert (row["object"]["kind"], row["object"]["metadata"]["name"]) == ("PartialObjectMetadata", "kubernetes")


async def test_partial_metadata_leaves_the_rest_out(world: World) -> None:
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    listing = await world.get("/api/v1/services", accept=accept)
    assert listing["kind"] == "PartialObjectMetadataList"
    assert set(listing["items"][0]) == {"kind", "apiVersion", "metadata"}


async def test_what_is_not_served_is_not_found(world: World) -> None:
    for url in ("/apis/batch/v1/jobs", "/nothing", f"{CONFIGMAPS}/x/scale"):
        code, reason, message = await world.refusal("GET", url)
        assert (code, reason, message) == (404, "NotFound", "the server could not find the requested resource")


async def test_health_is_told_check_by_check(world: World) -> None:
    reply: Any = await world.reply("GET", "/readyz?verbose", token="")
    assert (reply.status, reply.body.decode().splitlines()[-1]) == (200, "readyz check passed")
    reply = await world.reply("GET", "/livez/ping", token="")
    assert (reply.status, reply.body) == (200, b"ok")
    assert (await world.get("/version", token=""))["gitVersion"].startswith("v1.36.")
