"""The verbs on resources: from a parsed request to the answer, over `Objects` for writes and `reading` for reads."""

from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any

from kubesvc.aio.clock import Clock
from kubesvc.api.resources import Resource
from kubesvc.api.status import Invalid, NotFound
from kubesvc.apiserver import forms, refusals
from kubesvc.apiserver.answers import JSON, Answer, Reply, Stream, of_document
from kubesvc.apiserver.applying import apply_change, credited, is_apply
from kubesvc.apiserver.body import decode, decode_object, parse_field_validation
from kubesvc.apiserver.documents import Document, from_json, metadata_of
from kubesvc.apiserver.kinds import DeleteOptions
from kubesvc.apiserver.negotiation import Form, negotiate
from kubesvc.apiserver.objects import Objects, Result
from kubesvc.apiserver.patching import patch_change
from kubesvc.apiserver.reading import get, list_objects
from kubesvc.apiserver.request import Call, Target, number
from kubesvc.apiserver.watching import Render, WatchStream, plan_watch
from kubesvc.store.types import Backend

_WRITABLE_SUBRESOURCES = frozenset({"status", "finalize"})
Handler = Callable[[Call, Resource, Target], Awaitable[Reply]]


class ResourceApi:
    """Get, list, watch, create, update, patch, delete and deletecollection of any resource and its status."""

    def __init__(self, backend: Backend, objects: Objects, clock: Clock, random: Random) -> None:
        self._backend = backend
        self._objects = objects
        self._clock = clock
        self._random = random
        self._verbs: dict[str, Handler] = {
            "get": self.get,
            "list": self.list,
            "watch": self.watch,
            "create": self.create,
            "update": self.update,
            "patch": self.patch,
            "delete": self.delete,
            "deletecollection": self.delete_collection,
        }

    async def handle(self, call: Call, resource: Resource, target: Target) -> Reply:
        """Do what `call` asks of `resource`. Raises ApiError."""
        if target.subresource and target.subresource not in resource.subresources:
            raise refusals.path_not_found()
        if (
            resource.namespaced
            and not target.namespace
            and (target.name or call.verb in ("create", "deletecollection"))
        ):
            raise refusals.method_not_allowed()
        handler = self._verbs.get(call.verb)
        if handler is None or (target.subresource and call.verb not in ("get", "update", "patch")):
            raise refusals.method_not_allowed()
        return await handler(call, resource, target)

    async def get(self, call: Call, resource: Resource, target: Target) -> Reply:
        return self._answer(call, resource, get(self._backend, call, resource, target))

    async def list(self, call: Call, resource: Resource, target: Target) -> Reply:
        listing = list_objects(self._backend, call, resource, target)
        wanted = negotiate(call.headers.get("Accept", ""))
        include = forms.include_object(call.query.get("includeObject", ""))
        return forms.list_answer(resource, listing, wanted, now=self._clock.now(), include=include)

    async def watch(self, call: Call, resource: Resource, target: Target) -> Reply:
        wanted = negotiate(call.headers.get("Accept", ""))
        plan = plan_watch(call, resource, target, current=self._backend.revision, random=self._random)
        render = None if wanted.form is Form.OBJECT else self._event_renderer(call, resource)
        stream = WatchStream(self._backend, plan, self._clock, render)
        content_type = JSON if wanted.form is Form.OBJECT else f"{JSON};as={wanted.form};v=v1;g=meta.k8s.io"
        return Stream(stream.chunks(), stream.close, content_type)

    def _event_renderer(self, call: Call, resource: Resource) -> Render:
        wanted = negotiate(call.headers.get("Accept", ""))
        include = forms.include_object(call.query.get("includeObject", ""))
        seen = False

        def render(kind: str, value: bytes) -> bytes:
            nonlocal seen
            headers, seen = not seen, True
            now = self._clock.now()
            return forms.event_line(resource, kind, value, wanted, now=now, include=include, headers=headers)

        return render

    async def create(self, call: Call, resource: Resource, target: Target) -> Reply:
        document = self._read_object(call, resource)
        result = await self._objects.create(resource, target.namespace, document, user=call.user, dry_run=call.dry_run)
        return self._answer(call, resource, result.value, 201)

    async def update(self, call: Call, resource: Resource, target: Target) -> Reply:
        self._read_object(call, resource)
        dry_run, now = call.dry_run, self._clock.now()
        try:
            result = await self._objects.update(
                resource, target.namespace, target.name,
                credited(lambda _: self._read_object(call, resource, quiet=True), call, resource, target, now),
                subresource=target.subresource, dry_run=dry_run, must_be_conditional=True,
            )  # fmt: skip
        except NotFound:
            if target.subresource or not self._objects.kind(resource).creates_on_update:
                raise
            result = await self._create_named(call, resource, target)
        return self._answer(call, resource, result.value, 201 if result.created else 200)

    async def _create_named(self, call: Call, resource: Resource, target: Target) -> Result:
        document = self._read_object(call, resource, quiet=True)
        document.setdefault("metadata", {}).setdefault("name", target.name)
        return await self._objects.create(resource, target.namespace, document, user=call.user, dry_run=call.dry_run)

    async def patch(self, call: Call, resource: Resource, target: Target) -> Reply:
        if is_apply(call):
            return await self._apply(call, resource, target)
        validation = parse_field_validation(call.query.get("fieldValidation", ""))
        change = credited(patch_change(call, resource, validation), call, resource, target, self._clock.now())
        result = await self._objects.update(
            resource, target.namespace, target.name, change, subresource=target.subresource, dry_run=call.dry_run
        )
        return self._answer(call, resource, result.value)

    async def _apply(self, call: Call, resource: Resource, target: Target) -> Reply:
        """Apply a configuration; what is not there yet is created."""
        change = apply_change(call, resource, target, self._clock.now())
        try:
            result = await self._objects.update(
                resource, target.namespace, target.name, change, subresource=target.subresource, dry_run=call.dry_run
            )
        except NotFound:
            if target.subresource:
                raise
            document = change(None)
            metadata_of(document).setdefault("name", target.name)
            result = await self._objects.create(
                resource, target.namespace, document, user=call.user, dry_run=call.dry_run
            )
        return self._answer(call, resource, result.value, 201 if result.created else 200)

    async def delete(self, call: Call, resource: Resource, target: Target) -> Reply:
        options = read_delete_options(call)
        result = await self._objects.delete(resource, target.namespace, target.name, options, dry_run=call.dry_run)
        if not result.deleted or self._objects.kind(resource).returns_deleted:
            return self._answer(call, resource, result.value)
        return of_document(_success(resource, target.name, from_json(result.value)))

    async def delete_collection(self, call: Call, resource: Resource, target: Target) -> Reply:
        """Delete what matches the selectors; answers with the list of what was there."""
        options = read_delete_options(call)
        listing = list_objects(self._backend, call, resource, target)
        for value in listing.values:
            metadata = from_json(value)["metadata"]
            namespace, name = metadata.get("namespace", ""), metadata["name"]
            try:
                await self._objects.delete(resource, namespace, name, options, dry_run=call.dry_run)
            except NotFound:
                continue
        return Answer(listing.body(resource))

    def _read_object(self, call: Call, resource: Resource, *, quiet: bool = False) -> Document:
        validation = parse_field_validation(call.query.get("fieldValidation", ""))
        document, warnings = decode_object(call.body, call.headers.get("Content-Type", ""), resource, validation)
        if not quiet:
            call.warnings += warnings
        metadata_of(document).pop("managedFields", None)
        return document

    def _answer(self, call: Call, resource: Resource, value: bytes, status: int = 200) -> Answer:
        wanted = negotiate(call.headers.get("Accept", ""))
        include = forms.include_object(call.query.get("includeObject", ""))
        answer = forms.object_answer(resource, value, wanted, now=self._clock.now(), include=include)
        answer.status = status
        return answer


def read_delete_options(call: Call) -> DeleteOptions:
    """`DeleteOptions` from the body, or from the query where there is none. Raises BadRequest."""
    sent: dict[str, Any] = {}
    if call.body:
        sent = decode(call.body, call.headers.get("Content-Type", ""), "meta.v1.DeleteOptions")
    return delete_options_from(sent, call.query)


def delete_options_from(sent: Document, query: Mapping[str, str]) -> DeleteOptions:
    """`DeleteOptions` from a document, with what it leaves open from the query. Raises BadRequest, Invalid."""
    preconditions = sent.get("preconditions") or {}
    grace = sent.get("gracePeriodSeconds")
    return DeleteOptions(
        grace_seconds=number(query, "gracePeriodSeconds") if grace is None else grace,
        propagation=_propagation(sent, query),
        uid=preconditions.get("uid", ""),
        resource_version=preconditions.get("resourceVersion", ""),
    )


def _propagation(sent: Document, query: Mapping[str, str]) -> str:
    value = sent.get("propagationPolicy") or query.get("propagationPolicy", "")
    if not value and sent.get("orphanDependents") is not None:
        return "Orphan" if sent["orphanDependents"] else "Background"
    if value not in ("", "Orphan", "Background", "Foreground"):
        words = f'Unsupported value: "{value}": supported values: "Foreground", "Background", "Orphan", "nil"'
        raise Invalid(f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {words}', kind="DeleteOptions")
    return str(value)


def _success(resource: Resource, name: str, document: Document) -> Document:
    details = {"name": name, "kind": resource.plural, "uid": document["metadata"].get("uid", "")}
    if resource.group:
        details["group"] = resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
