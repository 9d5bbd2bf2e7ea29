"""Pods: graceful deletion, and the ServiceAccount and token volume every pod gets."""

import asyncio
from random import Random
from typing import Any

from kubesvc.aio.clock import Clock
from kubesvc.api import resources as r
from kubesvc.api.names import SUFFIX_LENGTH, generated_suffix
from kubesvc.apiserver import refusals
from kubesvc.apiserver.documents import Document, from_record
from kubesvc.apiserver.keys import key_of
from kubesvc.apiserver.kinds import DeleteOptions, Kind
from kubesvc.apiserver.request import User
from kubesvc.store.types import Backend, Watch

TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
ROOT_CA = "kube-root-ca.crt"
_TOKEN_SECONDS = 3607
_ACCOUNT_PATIENCE = 10.0
_DEFAULT_GRACE = 30
_TROUBLE_SECONDS = 300


class PodKind(Kind):
    """Pods terminate: the node agent has the grace period to stop them, then deletes them with grace 0."""

    returns_deleted = True

    def __init__(self, backend: Backend, clock: Clock, random: Random) -> None:
        self._backend = backend
        self._clock = clock
        self._random = random

    async def admit(self, document: Document, user: User) -> None:
        """Name a ServiceAccount, wait for it a while (a namespace's first one is on its way), mount its token."""
        spec = document.setdefault("spec", {})
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        tolerate_node_trouble(spec)
        if "kubernetes.io/config.mirror" in (document["metadata"].get("annotations") or {}):
            return
        account = await self._wait_for_account(document, name)
        automount = spec.get("automountServiceAccountToken")
        if automount is None:
            automount = account.get("automountServiceAccountToken", True)
        if automount:
            mount_token(spec, f"kube-api-access-{self._suffix()}")

    async def _wait_for_account(self, document: Document, name: str) -> Document:
        namespace = document["metadata"]["namespace"]
        key = key_of(r.SERVICEACCOUNTS, namespace, name)
        record = self._backend.get(key)
        if record is None:
            watch = self._backend.watch(key, after=self._backend.revision)
            patience = asyncio.create_task(self._interrupt_later(watch), name="account-patience")
            try:
                while record is None and not patience.done():
                    await watch.next()
                    record = self._backend.get(key)
            finally:
                patience.cancel()
                watch.close()
        if record is None:
            why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
            raise refusals.forbidden(r.PODS, document["metadata"].get("name", ""), why)
        return from_record(record)

    async def _interrupt_later(self, watch: Watch) -> None:
        await self._clock.sleep(_ACCOUNT_PATIENCE)
        watch.interrupt()

    def _suffix(self) -> str:
        return generated_suffix(self._random.getrandbits(32) for _ in range(SUFFIX_LENGTH))

    def grace_seconds(self, document: Document, options: DeleteOptions) -> int:
        """As asked or as the pod says; none for a pod that nothing runs. Negative grace counts as 1."""
        spec, status = document.get("spec") or {}, document.get("status") or {}
        if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
            return 0
        grace = options.grace_seconds
        if grace is None:
            grace = spec.get("terminationGracePeriodSeconds")
        if grace is None:
            grace = _DEFAULT_GRACE
        return 1 if grace < 0 else int(grace)


def tolerate_node_trouble(spec: Document) -> None:
    """Let the pod outlast five minutes of a node that is not ready or not reachable, unless it says otherwise."""
    tolerations = list(spec.get("tolerations") or ())
    for trouble in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{trouble}"
        if not any(each.get("key") in (key, None, "") and _covers_no_execute(each) for each in tolerations):
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TROUBLE_SECONDS}
            )
    spec["tolerations"] = tolerations


def _covers_no_execute(toleration: Document) -> bool:
    return toleration.get("effect") in ("NoExecute", None, "")


def mount_token(spec: Document, volume: str) -> None:
    """Mount the API's token, its authority and the namespace into every container that has not done so itself."""
    needed = [
        container
        for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
        if not any(mount.get("mountPath") == TOKEN_MOUNT for mount in container.get("volumeMounts") or ())
    ]
    if not needed:
        return
    mount = {"name": volume, "readOnly": True, "mountPath": TOKEN_MOUNT}
    for container in needed:
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), dict(mount)]
    spec["volumes"] = [*(spec.get("volumes") or ()), token_volume(volume)]


def token_volume(name: str) -> dict[str, Any]:
    """The projected volume of token, `ca.crt` and `namespace`."""
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
