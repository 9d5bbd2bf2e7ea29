"""Tokens, who they stand for, and what those may do."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.apiserver.world import World

from kubesvc.apiserver.tokens import ISSUER, Bound, Signer, TokenRefused, claims_for

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
PODS = "/api/v1/namespaces/default/pods"
SIGNER = Signer(b"secret")


def claims(now: int = 1000, lifetime: int = 600) -> dict[str, Any]:
    return claims_for(
        "ns", "robot", "u1", audiences=["here"], now=now, lifetime=lifetime, token_id="t", bound=Bound("Pod", "p", "u2")
    )


def test_what_was_signed_is_read_again() -> None:
    assert SIGNER.verify(SIGNER.sign(claims()), audiences=["here"], now=1000) == claims()
    assert claims()["kubernetes.io"] == {
        "namespace": "ns",
        "serviceaccount": {"name": "robot", "uid": "u1"},
        "pod": {"name": "p", "uid": "u2"},
    }


@pytest.mark.parametrize(
    ("audience", "now", "words"),
    [("there", 1000, "is for"), ("here", 1600, "expired"), ("here", 999, "expired")],
)
def test_a_token_counts_for_its_audience_in_its_time(audience: str, now: int, words: str) -> None:
    with pytest.raises(TokenRefused, match=words):
        SIGNER.verify(SIGNER.sign(claims()), audiences=[audience], now=now)


def test_another_key_does_not_sign_for_us() -> None:
    with pytest.raises(TokenRefused, match="signature"):
        SIGNER.verify(Signer(b"other").sign(claims()), audiences=["here"], now=1000)


@given(st.text() | st.just("\udcff.x.y"))
def test_no_text_passes_for_a_token(text: str) -> None:
    with pytest.raises(TokenRefused):
        SIGNER.verify(text, audiences=["here"], now=1000)


async def issue(world: World, name: str = "default", **spec: Any) -> dict[str, Any]:
    return await world.create(f"{ACCOUNTS}/{name}/token", {"spec": spec})


async def who(world: World, token: str) -> dict[str, Any]:
    review = await world.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, token=token)
    info: dict[str, Any] = review["status"]["userInfo"]
    return info


async def test_a_requested_token_is_its_account(world: World) -> None:
    account = await world.create(ACCOUNTS, {"metadata": {"name": "default"}})
    issued = await issue(world)
    assert (issued["spec"]["audiences"], issued["spec"]["expirationSeconds"]) == ([ISSUER], 3600)
    assert issued["status"]["expirationTimestamp"] == "2026-01-01T01:00:00Z"
    info = await who(world, issued["status"]["token"])
    assert (info["username"], info["uid"]) == ("system:serviceaccount:default:default", account["metadata"]["uid"])
    assert info["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]


async def test_a_token_dies_with_its_account_and_its_pod(world: World) -> None:
    await world.create(ACCOUNTS, {"metadata": {"name": "default"}})
    await world.create(PODS, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    bound = (await issue(world, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "p"}))["status"]["token"]
    free = (await issue(world))["status"]["token"]
    assert (await who(world, bound))["extra"]["authentication.kubernetes.io/pod-name"] == ["p"]
    await world.call("DELETE", f"{PODS}/p")
    assert (await world.refusal("GET", PODS, token=bound))[:2] == (401, "Unauthorized")
    assert (await world.call("GET", PODS, token=free))[0] == 200
    await world.call("DELETE", f"{ACCOUNTS}/default")
    assert (await world.refusal("GET", PODS, token=free))[:2] == (401, "Unauthorized")


async def test_a_token_expires(world: World) -> None:
    await world.create(ACCOUNTS, {"metadata": {"name": "default"}})
    token = (await issue(world, expirationSeconds=600))["status"]["token"]
    await world.clock.advance(601)
    assert (await world.refusal("GET", PODS, token=token))[:2] == (401, "Unauthorized")


async def test_a_token_for_ten_minutes_at_least_and_for_what_is_there(world: World) -> None:
    await world.create(ACCOUNTS, {"metadata": {"name": "default"}})
    code, _, message = await world.refusal("POST", f"{ACCOUNTS}/default/token", {"spec": {"expirationSeconds": 60}})
    assert (code, message.partition("spec.")[2]) == (
        422, "expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes",
    )  # fmt: skip
    assert (await world.refusal("POST", f"{ACCOUNTS}/none/token", {"spec": {}}))[0] == 404


async def test_a_token_review_says_whose_it_is(world: World) -> None:
    url = "/apis/authentication.k8s.io/v1/tokenreviews"
    good = await world.create(url, {"spec": {"token": "joe"}})
    bad = await world.create(url, {"spec": {"token": "nobody"}})
    assert (good["status"]["authenticated"], good["status"]["user"]["username"]) == (True, "joe")
    assert "authenticated" not in bad["status"]


@pytest.mark.parametrize(
    ("token", "method", "url", "code"),
    [
        ("joe", "GET", PODS, 200),
        ("joe", "GET", "/apis", 200),
        ("joe", "GET", "/api/v1/namespaces/default/secrets", 403),
        ("joe", "DELETE", f"{PODS}/p", 403),
        ("joe", "GET", "/metrics", 403),
        ("", "GET", "/healthz", 200),
        ("", "GET", "/version", 200),
        ("", "GET", "/apis", 403),
        ("", "GET", PODS, 403),
        ("wrong", "GET", "/healthz", 401),
        ("admin", "GET", "/api/v1/namespaces/default/secrets", 200),
    ],
)
async def test_who_may_do_what(world: World, token: str, method: str, url: str, code: int) -> None:
    reply: Any = await world.reply(method, url, token=token)
    assert reply.status == code


async def test_a_refusal_names_user_verb_and_resource(world: World) -> None:
    what = 'User "joe" cannot delete resource "deployments" in API group "apps" in the namespace "x"'
    assert await world.refusal("DELETE", "/apis/apps/v1/namespaces/x/deployments/d", token="joe") == (
        403, "Forbidden", f'deployments.apps "d" is forbidden: {what}',
    )  # fmt: skip
    _, _, message = await world.refusal("GET", "/api/v1/secrets", token="joe")
    assert message.endswith('cannot list resource "secrets" in API group "" at the cluster scope')


async def test_access_reviews_answer_as_the_rules_do(world: World) -> None:
    url = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    async def allowed(token: str, verb: str, resource: str) -> bool:
        attributes = {"verb": verb, "resource": resource, "namespace": "default"}
        review = await world.create(url, {"spec": {"resourceAttributes": attributes}}, token=token)
        return bool(review["status"]["allowed"])

    assert await allowed("joe", "list", "services")
    assert not await allowed("joe", "create", "services")
    assert await allowed("admin", "create", "services")
