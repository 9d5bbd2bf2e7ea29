"""OpenAPI path items of the served resources: the operations clients look for, with their kinds and parameters.

kubectl reads two things here: which kind a path serves (`explain`), and whether a kind's PATCH takes
`fieldValidation` (then it leaves validation to the server). Both are on every operation.
"""

from typing import Any

from kubesvc.api.resources import Resource
from kubesvc.apiserver.openapi_types import Dialect, gvk

PathItem = dict[str, Any]

_JSON = "application/json"
_PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_WRITE_OPTIONS = {
    "dryRun": "`All` runs every check and stores nothing.",
    "fieldManager": "Who makes this change, for managed fields.",
    "fieldValidation": "What to do about unknown and duplicate fields: Ignore, Warn (the default) or Strict.",
}
_LIST_OPTIONS = {
    "labelSelector": "Only objects whose labels match.",
    "fieldSelector": "Only objects whose fields match.",
    "resourceVersion": "How old the answer may be; for a watch, where it starts.",
    "limit": "At most this many items; the rest follows with `continue`.",
    "continue": "Where the previous page ended.",
    "watch": "Stream changes instead of listing.",
}
_FORCE = {"force": "Take over fields that other managers own (server-side apply)."}


def path_items(resource: Resource, dialect: Dialect) -> dict[str, PathItem]:
    """Every path of one resource: its collection, its objects and their `status`."""
    writer = _Operations(resource, dialect)
    collection = resource.path("{namespace}" if resource.namespaced else None)
    item = f"{collection}/{{name}}"
    items = {collection: writer.collection(), item: writer.item()}
    if resource.namespaced:
        items[resource.path()] = {"get": writer.operation("list", "", _LIST_OPTIONS)}
    if "status" in resource.subresources:
        items[f"{item}/status"] = writer.item(deletable=False)
    for path, entry in items.items():
        if names := [name for name in ("namespace", "name") if f"{{{name}}}" in path]:
            entry["parameters"] = [writer.parameter(name, "path") for name in names]
    return items


class _Operations:
    """Builds the operations of one resource in one dialect."""

    def __init__(self, resource: Resource, dialect: Dialect) -> None:
        self._resource = resource
        self._dialect = dialect

    def collection(self) -> PathItem:
        return {
            "get": self.operation("list", "", _LIST_OPTIONS),
            "post": self.operation("create", self._resource.schema_type, _WRITE_OPTIONS),
            "delete": self.operation("deletecollection", "meta.v1.DeleteOptions", _LIST_OPTIONS),
        }

    def item(self, *, deletable: bool = True) -> PathItem:
        operations = {
            "get": self.operation("get", "", {}),
            "put": self.operation("update", self._resource.schema_type, _WRITE_OPTIONS),
            "patch": self.operation("patch", "meta.v1.Patch", _WRITE_OPTIONS | _FORCE),
        }
        if deletable:
            operations["delete"] = self.operation("delete", "meta.v1.DeleteOptions", {})
        return operations

    def operation(self, action: str, body: str, options: dict[str, str]) -> dict[str, Any]:
        resource = self._resource
        operation: dict[str, Any] = {
            "operationId": f"{action}-{resource.group_resource}",
            "parameters": [self.parameter(name, "query", text) for name, text in options.items()],
            "responses": {"200": self._answer(action)},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk(resource.group, resource.version, resource.kind),
        }
        if body:
            self._add_body(operation, body, _PATCH_TYPES if action == "patch" else (_JSON,))
        return operation

    def parameter(self, name: str, place: str, description: str = "") -> dict[str, Any]:
        parameter: dict[str, Any] = {"name": name, "in": place, "description": description or f"The {name}."}
        if place == "path":
            parameter["required"] = True
        form = {"type": _parameter_type(name)}
        return parameter | ({"schema": form} if self._dialect.has_unions else form)

    def _answer(self, action: str) -> dict[str, Any]:
        name = self._resource.schema_type
        schema = self._dialect.reference(f"{name}List" if action == "list" else name)
        content = {"content": {_JSON: {"schema": schema}}} if self._dialect.has_unions else {"schema": schema}
        return {"description": "OK", **content}

    def _add_body(self, operation: dict[str, Any], body: str, media_types: tuple[str, ...]) -> None:
        schema = self._dialect.reference(body)
        if self._dialect.has_unions:
            operation["requestBody"] = {"content": {media: {"schema": schema} for media in media_types}}
        else:
            operation["parameters"].append({"name": "body", "in": "body", "required": True, "schema": schema})
            operation["consumes"] = list(media_types)


def _parameter_type(name: str) -> str:
    return {"limit": "integer", "watch": "boolean", "force": "boolean"}.get(name, "string")
