"""Who is asking: static bearer tokens from a file and signed ServiceAccount tokens."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from kubesvc.aio.clock import Clock
from kubesvc.api import resources as r
from kubesvc.api.resources import Resource
from kubesvc.apiserver import refusals
from kubesvc.apiserver.documents import Document
from kubesvc.apiserver.request import ANONYMOUS, AUTHENTICATED, User
from kubesvc.apiserver.tokens import ISSUER, Claims, Signer, TokenRefused

Lookup = Callable[[Resource, str, str], Document | None]
"""The newest state of an object by resource, namespace and name."""

_BOUND = {"pod": r.PODS, "secret": r.SECRETS, "node": r.NODES}


class _Entry(msgspec.Struct):
    user: str
    groups: list[str] = []
    uid: str = ""


def read_tokens(path: Path) -> dict[str, User]:
    """The users of a tokens file; ValueError where it is not `{token: {"user": ..., "groups": [...]}}`."""
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=dict[str, _Entry])
    except msgspec.DecodeError as err:
        raise ValueError(f"{path}: {err}") from err
    return {token: User(e.user, (*e.groups, AUTHENTICATED), e.uid) for token, e in entries.items()}


class Authenticator:
    """Turns an Authorization header into a User."""

    def __init__(self, tokens: Mapping[str, User], signer: Signer, clock: Clock, lookup: Lookup) -> None:
        self._tokens = tokens
        self._signer = signer
        self._clock = clock
        self._lookup = lookup

    def authenticate(self, authorization: str) -> User:
        """Nobody in particular without a header; raises Unauthorized for credentials that are not good."""
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise refusals.unauthorized()
        try:
            return self.identify(token, (ISSUER,))
        except TokenRefused as err:
            raise refusals.unauthorized() from err

    def identify(self, token: str, audiences: Sequence[str]) -> User:
        """The user of a token; raises TokenRefused, also when what a ServiceAccount's token is bound to is gone."""
        known = self._tokens.get(token)
        if known:
            return known
        claims = self._signer.verify(token, audiences=audiences, now=int(self._clock.now().timestamp()))
        return self._service_account(claims)

    def _service_account(self, claims: Claims) -> User:
        kubernetes = claims["kubernetes.io"]
        namespace = kubernetes["namespace"]
        account = kubernetes["serviceaccount"]
        self._require(r.SERVICEACCOUNTS, namespace, account)
        extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        for kind, resource in _BOUND.items():
            bound = kubernetes.get(kind)
            if bound:
                self._require(resource, namespace if resource.namespaced else "", bound)
                extra[f"authentication.kubernetes.io/{kind}-name"] = (bound["name"],)
                extra[f"authentication.kubernetes.io/{kind}-uid"] = (bound["uid"],)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
        return User(claims["sub"], groups, account["uid"], extra)

    def _require(self, resource: Resource, namespace: str, named: Mapping[str, str]) -> None:
        found = self._lookup(resource, namespace, named["name"])
        if found is None or found["metadata"]["uid"] != named["uid"]:
            raise TokenRefused(f"{resource.kind} {named['name']} is gone")
