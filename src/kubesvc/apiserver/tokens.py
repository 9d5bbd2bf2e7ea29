"""ServiceAccount tokens: JSON Web Tokens (RFC 7519) with the claims Kubernetes gives them (KEP-1205).

They are signed with HMAC-SHA256 (RFC 7515, HS256): the API server that issues a token is the one that
verifies it, so nobody needs a public key, and the standard library is enough.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

ISSUER = "https://kubernetes.default.svc.cluster.local"
_HEADER = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
Claims = Mapping[str, Any]


class TokenRefused(Exception):
    """The token is not ours, has been tampered with, has expired, or is for somebody else."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An object a token is bound to: it dies with it."""

    kind: str
    name: str
    uid: str


def claims_for(
    namespace: str, name: str, uid: str, *, audiences: Sequence[str], now: int, lifetime: int, token_id: str,
    bound: Bound | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The claims of a token for a ServiceAccount; times in seconds since the epoch."""
    kubernetes: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}
    if bound:
        kubernetes[bound.kind.lower()] = {"name": bound.name, "uid": bound.uid}
    return {
        "aud": list(audiences),
        "exp": now + lifetime,
        "iat": now,
        "iss": ISSUER,
        "jti": token_id,
        "kubernetes.io": kubernetes,
        "nbf": now,
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }


class Signer:
    """Signs and verifies with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.sha256(b"kubesvc service account tokens\0" + secret).digest()

    def sign(self, claims: Claims) -> str:
        payload = base64.urlsafe_b64encode(msgspec.json.encode(claims)).rstrip(b"=")
        signed = _HEADER + b"." + payload
        return (signed + b"." + self._signature(signed)).decode()

    def verify(self, token: str, *, audiences: Sequence[str], now: int) -> Claims:
        """The claims of a token meant for one of `audiences`; raises TokenRefused."""
        head, _, signature = token.encode(errors="replace").rpartition(b".")
        header, _, payload = head.partition(b".")
        if header != _HEADER or not hmac.compare_digest(self._signature(head), signature):
            raise TokenRefused("the signature does not match")
        claims = _decode(payload)
        if not set(audiences) & set(claims["aud"]):
            raise TokenRefused(f"the token is for {claims['aud']}")
        if not claims["nbf"] <= now < claims["exp"]:
            raise TokenRefused("the token has expired")
        return claims

    def _signature(self, signed: bytes) -> bytes:
        digest = hmac.new(self._key, signed, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=")


def _decode(payload: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), type=dict[str, Any])
    except (binascii.Error, msgspec.DecodeError) as err:
        raise TokenRefused(f"the payload is not readable: {err}") from err
