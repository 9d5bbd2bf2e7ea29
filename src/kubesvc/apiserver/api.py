"""The whole API as one function from a call to a reply: who, may they, what, and how a refusal reads."""

from collections.abc import Awaitable, Callable, Mapping

from kubesvc import observe
from kubesvc.api.resources import Resource
from kubesvc.api.status import ApiError, InternalError
from kubesvc.apiserver import refusals
from kubesvc.apiserver.answers import Reply, of_error
from kubesvc.apiserver.authentication import Authenticator
from kubesvc.apiserver.authorization import authorize
from kubesvc.apiserver.request import Call, Target
from kubesvc.apiserver.resources import ResourceApi
from kubesvc.apiserver.system import SystemPaths

_log = observe.log("apiserver")
Subresource = Callable[[Call, Resource, Target], Awaitable[Reply]]
VirtualResource = Callable[[Call], Awaitable[Reply]]


class Api:
    """Dispatches calls. `subresources` and `virtual` (resources without storage) are found by their names."""

    def __init__(
        self, authenticator: Authenticator, resources: ResourceApi, system: SystemPaths,
        subresources: Mapping[tuple[str, str], Subresource], virtual: Mapping[str, VirtualResource],
    ) -> None:  # fmt: skip
        self._authenticator = authenticator
        self._resources = resources
        self._system = system
        self._subresources = subresources
        self._virtual = virtual

    async def handle(self, call: Call) -> Reply:
        """Never raises but for cancellation: refusals and defects become Status documents."""
        try:
            call.user = self._authenticator.authenticate(call.headers.get("Authorization", ""))
            authorize(call)
            return await self._route(call)
        except ApiError as err:
            return of_error(err)
        except Exception as err:
            _log.error("request failed", exc=err, method=call.method, path=call.path)
            return of_error(InternalError(f"Internal error occurred: {type(err).__name__}: {err}"))

    async def _route(self, call: Call) -> Reply:
        target = call.target
        if target is None:
            return self._system.handle(call)
        resource = target.resource
        if resource is None:
            virtual = self._virtual.get(target.group_resource)
            if virtual is None:
                raise refusals.path_not_found()
            return await virtual(call)
        special = self._subresources.get((resource.plural, target.subresource))
        if special:
            return await special(call, resource, target)
        return await self._resources.handle(call, resource, target)
