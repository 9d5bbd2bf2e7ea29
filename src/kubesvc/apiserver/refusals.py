"""The refusals of the API in its own words."""

from typing import Any

from kubesvc.api.resources import Resource
from kubesvc.api.status import (
    AlreadyExists,
    ApiError,
    Cause,
    Conflict,
    Expired,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    Timeout,
    Unauthorized,
)

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


class PathNotFound(ApiError):
    """A path that names nothing at all."""

    code, reason = 404, "NotFound"

    def to_status(self) -> dict[str, Any]:
        # kubectl debug reads the name in the details of such an answer without a look whether there are any.
        return {**super().to_status(), "details": {}}


def path_not_found() -> ApiError:
    return PathNotFound("the server could not find the requested resource")


def not_found(resource: Resource, name: str) -> ApiError:
    return NotFound(
        f'{resource.group_resource} "{name}" not found', kind=resource.plural, group=resource.group, name=name
    )


def already_exists(resource: Resource, name: str) -> ApiError:
    return AlreadyExists(
        f'{resource.group_resource} "{name}" already exists', kind=resource.plural, group=resource.group, name=name
    )


def conflict(resource: Resource, name: str, why: str = MODIFIED) -> ApiError:
    return Conflict(
        f'Operation cannot be fulfilled on {resource.group_resource} "{name}": {why}',
        kind=resource.plural, group=resource.group, name=name,
    )  # fmt: skip


def forbidden(resource: Resource, name: str, why: str, *causes: Cause) -> ApiError:
    shown = f' "{name}"' if name else ""
    return Forbidden(
        f"{resource.group_resource}{shown} is forbidden: {why}",
        kind=resource.plural, group=resource.group, name=name, causes=causes,
    )  # fmt: skip


def namespace_terminating(resource: Resource, name: str, namespace: str) -> ApiError:
    words = f"namespace {namespace} is being terminated"
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return forbidden(resource, name, why, Cause("NamespaceTerminating", "metadata.namespace", words))


def unauthorized() -> ApiError:
    return Unauthorized("Unauthorized")


def method_not_allowed() -> ApiError:
    return MethodNotAllowed("the server does not allow this method on the requested resource")


def expired(asked: int, oldest: int) -> ApiError:
    return Expired(f"too old resource version: {asked} ({oldest})")


def continue_expired() -> ApiError:
    return Expired(
        "The provided continue parameter is too old to display a consistent list result. "
        "You must start a new list without the continue parameter."
    )


def too_large_revision(asked: int, current: int) -> ApiError:
    return Timeout(
        f"Too large resource version: {asked}, current: {current}",
        causes=(Cause("ResourceVersionTooLarge", "", "Too large resource version"),),
        retry_after=1,
    )
