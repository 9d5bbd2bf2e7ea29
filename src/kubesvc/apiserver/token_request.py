"""`serviceaccounts/{name}/token`: TokenRequest, a signed token on demand (KEP-1205)."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kubesvc.aio.clock import Clock
from kubesvc.api import resources as r
from kubesvc.api.resources import Resource
from kubesvc.api.status import Cause, Invalid
from kubesvc.api.times import time_text
from kubesvc.apiserver import refusals
from kubesvc.apiserver.answers import Reply, of_document
from kubesvc.apiserver.body import decode
from kubesvc.apiserver.documents import Document
from kubesvc.apiserver.objects import Objects
from kubesvc.apiserver.request import Call, Target
from kubesvc.apiserver.tokens import ISSUER, Bound, Signer, claims_for

_SHORTEST, _DEFAULT = 600, 3600
_BINDABLE = {"Pod": r.PODS, "Secret": r.SECRETS, "Node": r.NODES}


class TokenRequests:
    """Issues tokens for existing ServiceAccounts."""

    def __init__(self, objects: Objects, signer: Signer, clock: Clock) -> None:
        self._objects = objects
        self._signer = signer
        self._clock = clock

    async def handle(self, call: Call, resource: Resource, target: Target) -> Reply:
        """POST a TokenRequest; the answer is it with `status.token`. Raises NotFound, Invalid, Conflict."""
        if call.method != "POST":
            raise refusals.method_not_allowed()
        sent = decode(call.body, call.headers.get("Content-Type", ""), "authentication.v1.TokenRequest")
        account = self._objects.latest(r.SERVICEACCOUNTS, target.namespace, target.name)
        if account is None:
            raise refusals.not_found(r.SERVICEACCOUNTS, target.name)
        spec = sent.get("spec") or {}
        return of_document(self._issue(account, spec), 201)

    def _issue(self, account: Document, spec: Mapping[str, Any]) -> Document:
        metadata = account["metadata"]
        lifetime = _lifetime(spec)
        audiences = list(spec.get("audiences") or (ISSUER,))
        now = self._clock.now()
        claims = claims_for(
            metadata["namespace"], metadata["name"], metadata["uid"], audiences=audiences,
            now=int(now.timestamp()), lifetime=lifetime, token_id=str(uuid.uuid4()),
            bound=self._bound(metadata["namespace"], spec.get("boundObjectRef")),
        )  # fmt: skip
        expires = time_text(now + timedelta(seconds=lifetime))
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "spec": {**spec, "audiences": audiences, "expirationSeconds": lifetime},
            "status": {"token": self._signer.sign(claims), "expirationTimestamp": expires},
        }

    def _bound(self, namespace: str, reference: Mapping[str, Any] | None) -> Bound | None:
        if not reference:
            return None
        kind, name = reference.get("kind", ""), reference.get("name", "")
        resource = _BINDABLE.get(kind)
        if resource is None:
            raise _invalid("spec.boundObjectRef", f'Invalid value: "{kind}": cannot bind token to object of this type')
        found = self._objects.latest(resource, namespace if resource.namespaced else "", name)
        if found is None:
            raise refusals.not_found(resource, name)
        uid = found["metadata"]["uid"]
        if reference.get("uid") and reference["uid"] != uid:
            why = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record ({uid})"
            raise refusals.conflict(resource, name, why)
        return Bound(kind, name, uid)


def _lifetime(spec: Mapping[str, Any]) -> int:
    seconds = spec.get("expirationSeconds")
    if seconds is None:
        return _DEFAULT
    if seconds < _SHORTEST:
        words = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
        raise _invalid("spec.expirationSeconds", words)
    if seconds > 2**32:
        raise _invalid(
            "spec.expirationSeconds", f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
        )
    return int(seconds)


def _invalid(field: str, problem: str) -> Invalid:
    return Invalid(
        f'TokenRequest.authentication.k8s.io "" is invalid: {field}: {problem}', kind="TokenRequest",
        group="authentication.k8s.io", causes=(Cause("FieldValueInvalid", field, problem),),
    )  # fmt: skip
