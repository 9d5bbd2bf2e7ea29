"""Writes one pod's status to the API: the latest one, at once, again until it is taken."""

import asyncio
from typing import Any

import msgspec

from kubesvc.aio.clock import Clock
from kubesvc.api.resources import PODS, revision_of
from kubesvc.api.status import ApiError, Conflict, Invalid, NotFound
from kubesvc.api.views import Pod
from kubesvc.client import Client
from kubesvc.client.errors import ConnectionFailed
from kubesvc.node.podstatus import condition_times
from kubesvc.observe import log

_log = log("node.status")
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0


class StatusWriter:
    """`put` never blocks; `run` writes. Equal statuses are written once."""

    def __init__(self, client: Client, pod: Pod, clock: Clock) -> None:
        self._client = client
        self._meta = pod.metadata
        self._clock = clock
        self._wanted: dict[str, Any] | None = None
        self._written: dict[str, Any] | None = None
        self._revision = 0
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.conditions = condition_times(pod.status.conditions)

    def put(self, status: dict[str, Any]) -> None:
        """Make `status` the one that the API should show."""
        self.conditions = {c["type"]: (c["status"], c["lastTransitionTime"]) for c in status["conditions"]}
        if status != self._wanted:
            self._wanted = status
            self._idle.clear()
            self._changed.set()

    def compare(self, pod: Pod) -> None:
        """The API shows `pod`: where others have overwritten the agent's conditions, write them again.

        The controllers do so with the pods of a node that was silent. States older than what was written
        last tell nothing; revisions are compared as numbers (KEP-5504).
        """
        wanted = self._wanted
        if wanted is None or wanted != self._written or revision_of(pod.metadata.resource_version) <= self._revision:
            return
        shown = {condition.type: condition.status for condition in pod.status.conditions or ()}
        if any(shown.get(condition["type"]) != condition["status"] for condition in wanted["conditions"]):
            _log.info("status overwritten by others, writing it again", pod=f"{self._meta.namespace}/{self._meta.name}")
            self._written = None
            self._idle.clear()
            self._changed.set()

    async def flushed(self) -> None:
        """Return once the latest status is written, or can never be."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        delay = _FIRST_DELAY
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._wanted != self._written:
                if await self._write(self._wanted):
                    delay = _FIRST_DELAY
                    continue
                await self._clock.sleep(delay)
                delay = min(delay * 2, _LONGEST_DELAY)
            self._idle.set()

    async def _write(self, status: dict[str, Any] | None) -> bool:
        """False when it has to be tried again."""
        body = msgspec.json.encode({"metadata": {"uid": self._meta.uid}, "status": status})
        try:
            answer = await self._client.patch(
                PODS,
                self._meta.name,
                msgspec.Raw(body),
                namespace=self._meta.namespace,
                kind="strategic",
                subresource="status",
            )
        except (NotFound, Conflict, Invalid) as err:
            # Gone, replaced by another pod of its name, or refused for good: no later try can succeed.
            _log.debug("status not taken", pod=f"{self._meta.namespace}/{self._meta.name}", reason=err)
        except (ApiError, ConnectionFailed) as err:
            _log.debug("status write failed", pod=f"{self._meta.namespace}/{self._meta.name}", reason=err)
            return False
        else:
            self._revision = revision_of(answer["metadata"].get("resourceVersion", ""))
        self._written = status
        return True
