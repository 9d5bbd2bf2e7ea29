"""Events about objects, written in the background and counted up when they repeat (core/v1 Event)."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Literal

from kubesvc.aio.clock import Clock, SystemClock
from kubesvc.aio.shares import Shares
from kubesvc.api.resources import EVENTS
from kubesvc.api.status import ApiError, NotFound
from kubesvc.api.times import time_text
from kubesvc.api.views import ObjectReference
from kubesvc.client.errors import ConnectionFailed
from kubesvc.client.rest import Client
from kubesvc.observe import log

_log = log("client.events")
_QUEUED_AT_MOST = 1000
_REMEMBERED_AT_MOST = 4096
BURST = 25
REFILL_SECONDS = 300.0
"""What one object may have: a burst of events, then one in this time. A flapping object must not keep the API busy."""

EventType = Literal["Normal", "Warning"]
_Fingerprint = tuple[str, str, str, str, str]


class EventRecorder:
    """Takes events without blocking; `run` writes them.

    A full queue drops the newest and says so once; so does an object that has had its share.
    """

    def __init__(self, client: Client, component: str, *, host: str = "", clock: Clock | None = None) -> None:
        self._client = client
        self._source = {"component": component} | ({"host": host} if host else {})
        self._component = component
        self._host = host
        self._clock = clock or SystemClock()
        self._queue: asyncio.Queue[tuple[dict[str, Any], EventType, str, str]] = asyncio.Queue(_QUEUED_AT_MOST)
        self._known: OrderedDict[_Fingerprint, tuple[str, str, int]] = OrderedDict()
        self._serial = 0
        self._dropping = False
        self._shares = Shares[tuple[str, str, str]](BURST, REFILL_SECONDS, most_keys=_REMEMBERED_AT_MOST)

    def event(self, about: Mapping[str, Any] | ObjectReference, type_: EventType, reason: str, message: str) -> None:
        """Report on `about`: an object's document (kind, apiVersion, metadata) or a reference to it."""
        reference = reference_to(about)
        key = (reference.get("kind", ""), reference.get("namespace", ""), reference.get("name", ""))
        if not self._shares.take(key, self._clock.monotonic()):
            _log.debug("event dropped, the object has had too many", reason=reason, message=message)
            return
        try:
            self._queue.put_nowait((reference, type_, reason, message))
            self._dropping = False
        except asyncio.QueueFull:
            if not self._dropping:
                _log.warning("events dropped, the API does not take them fast enough", reason=reason, message=message)
            self._dropping = True

    async def run(self) -> None:
        """Write queued events until cancelled; one that is refused is logged and given up."""
        while True:
            about, type_, reason, message = await self._queue.get()
            try:
                await self._write(about, type_, reason, message)
            except (ApiError, ConnectionFailed) as err:
                _log.debug("event not written", reason=reason, error=err)

    async def _write(self, about: dict[str, Any], type_: EventType, reason: str, message: str) -> None:
        namespace = about.get("namespace") or "default"
        now = time_text(self._clock.now())
        fingerprint = (about.get("kind", ""), namespace, about.get("uid") or about.get("name", ""), reason, message)
        known = self._known.pop(fingerprint, None)
        if known is not None:
            name, first, count = known
            patch = {"count": count + 1, "lastTimestamp": now}
            try:
                await self._client.patch(EVENTS, name, patch, namespace=namespace)
                self._remember(fingerprint, (name, first, count + 1))
                return
            except NotFound:
                pass  # it has expired on the server: start a new one
        name = self._name(about, fingerprint)
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": about,
            "reason": reason,
            "message": message[:1024],
            "type": type_,
            "source": self._source,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self._client.create(EVENTS, event, namespace=namespace)
        self._remember(fingerprint, (name, now, 1))

    def _remember(self, fingerprint: _Fingerprint, entry: tuple[str, str, int]) -> None:
        self._known[fingerprint] = entry
        while len(self._known) > _REMEMBERED_AT_MOST:
            self._known.popitem(last=False)

    def _name(self, about: dict[str, Any], fingerprint: _Fingerprint) -> str:
        self._serial += 1
        seed = f"{fingerprint}{self._component}{self._host}{self._clock.now().timestamp()}{self._serial}"
        return f"{about.get('name', 'unknown')[:200]}.{hashlib.sha256(seed.encode()).hexdigest()[:16]}"


def reference_to(about: Mapping[str, Any] | ObjectReference) -> dict[str, Any]:
    """The ObjectReference document for an object's document or for a reference."""
    if isinstance(about, ObjectReference):
        fields = {
            "kind": about.kind,
            "apiVersion": about.api_version,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
            "resourceVersion": about.resource_version,
            "fieldPath": about.field_path,
        }
    else:
        meta = about.get("metadata", {})
        fields = {
            "kind": about.get("kind", ""),
            "apiVersion": about.get("apiVersion", ""),
            "namespace": meta.get("namespace", ""),
            "name": meta.get("name", ""),
            "uid": meta.get("uid", ""),
            "resourceVersion": meta.get("resourceVersion", ""),
        }
    return {name: value for name, value in fields.items() if value}
