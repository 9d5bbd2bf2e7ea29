"""Fetches what pods refer to: ConfigMaps, Secrets, ServiceAccount tokens."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeVar

from kubesvc.aio.clock import Clock
from kubesvc.api.resources import CONFIGMAPS, SECRETS, SERVICEACCOUNTS, Resource
from kubesvc.api.status import NotFound
from kubesvc.api.views import ConfigMap, Pod, Secret, ServiceAccount, Volume
from kubesvc.client import Client
from kubesvc.node.environment import Sources, references
from kubesvc.node.volumes import Token, VolumeError, wanted_tokens

V = TypeVar("V")

# A token is replaced when this much of its life is left, as upstream does.
_RENEW_AT = 0.2
# Pods of a node that ask the API about their volumes at the same time.
_REFRESHES = 4


class References:
    """Reads through to the API on every call, except tokens, which are kept while they are fresh.

    `refreshing` bounds how many pods look after their volumes at once; those that start do not wait for it.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tokens: dict[tuple[str, Token], tuple[str, float]] = {}
        self.refreshing = asyncio.Semaphore(_REFRESHES)

    async def automount(self, pod: Pod) -> bool:
        """What the pod's ServiceAccount says about mounting its token; VolumeError while there is no such account."""
        name, namespace = pod.spec.service_account_name or "default", pod.metadata.namespace
        try:
            account = await self._client.get(SERVICEACCOUNTS, name, namespace=namespace, view=ServiceAccount)
        except NotFound as err:
            raise VolumeError(f'serviceaccount "{name}" not found') from err
        return account.automount_service_account_token is not False

    async def sources(self, pod: Pod, volumes: Iterable[Volume]) -> Sources:
        """The ConfigMaps and Secrets that the pod refers to and that exist."""
        wanted = references(pod, volumes)
        namespace = pod.metadata.namespace
        config_maps, secrets = await asyncio.gather(
            self._fetch(CONFIGMAPS, ConfigMap, namespace, wanted.config_maps),
            self._fetch(SECRETS, Secret, namespace, wanted.secrets),
        )
        return Sources(config_maps, secrets)

    async def _fetch(self, resource: Resource, view: type[V], namespace: str, names: Iterable[str]) -> Mapping[str, V]:
        async def one(name: str) -> tuple[str, V | None]:
            try:
                return name, await self._client.get(resource, name, namespace=namespace, view=view)
            except NotFound:
                return name, None

        found = await asyncio.gather(*(one(name) for name in names))
        return {name: value for name, value in found if value is not None}

    async def tokens(self, pod: Pod, volumes: Iterable[Volume]) -> dict[Token, str]:
        """The tokens of the pod's volumes, requested for this very pod; VolumeError without a ServiceAccount."""
        return {token: await self._token(pod, token) for token in wanted_tokens(volumes)}

    async def _token(self, pod: Pod, token: Token) -> str:
        key = (pod.metadata.uid, token)
        known = self._tokens.get(key)
        if known is not None and self._clock.now().timestamp() < known[1]:
            return known[0]
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [token.audience] if token.audience else [],
                "expirationSeconds": token.expiration_seconds,
                "boundObjectRef": {
                    "apiVersion": "v1", "kind": "Pod", "name": pod.metadata.name, "uid": pod.metadata.uid,
                },
            },
        }  # fmt: skip
        name = pod.spec.service_account_name or "default"
        try:
            answer = await self._client.create(
                SERVICEACCOUNTS, request, namespace=pod.metadata.namespace, name=name, subresource="token"
            )
        except NotFound as err:
            raise VolumeError(f'serviceaccount "{name}" not found') from err
        status = answer["status"]
        expires = datetime.fromisoformat(status["expirationTimestamp"]).timestamp()
        renew_at = expires - _RENEW_AT * token.expiration_seconds
        self._tokens[key] = (status["token"], renew_at)
        return str(status["token"])

    def forget(self, pod: Pod) -> None:
        """Drop the tokens of a pod that is gone."""
        for key in [key for key in self._tokens if key[0] == pod.metadata.uid]:
            del self._tokens[key]
