"""Who may do what: a fixed rule per group of users, with the API's own refusal.

system:masters, system:nodes, kube-system's ServiceAccounts, control-plane components   everything
every other authenticated user        discovery; get, list and watch of everything but Secrets; reviews of itself
anonymous                             health and version
"""

from dataclasses import dataclass

from kubesvc.api.status import Forbidden
from kubesvc.apiserver.request import AUTHENTICATED, Call, User

_TRUSTED_GROUPS = frozenset({"system:masters", "system:nodes", "system:serviceaccounts:kube-system"})
_TRUSTED_USERS = frozenset(
    {"system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy", "system:apiserver"}
)
_PUBLIC = ("/healthz", "/livez", "/readyz", "/version")
_DISCOVERY = (*_PUBLIC, "/api", "/apis", "/openapi")
_SELF_REVIEWS = frozenset({"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"})
_READING = frozenset({"get", "list", "watch"})


@dataclass(frozen=True, slots=True)
class Attributes:
    """What somebody wants to do. `path` is set for requests that are not about resources."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def is_trusted(user: User) -> bool:
    return user.name in _TRUSTED_USERS or not _TRUSTED_GROUPS.isdisjoint(user.groups)


def is_allowed(user: User, wanted: Attributes) -> bool:
    """The decision."""
    if is_trusted(user):
        return True
    known = AUTHENTICATED in user.groups
    if wanted.path:
        allowed = _DISCOVERY if known else _PUBLIC
        return wanted.verb == "get" and any(wanted.path == p or wanted.path.startswith(f"{p}/") for p in allowed)
    if not known:
        return False
    if wanted.resource in _SELF_REVIEWS:
        return wanted.verb == "create"
    return wanted.verb in _READING and wanted.resource != "secrets" and wanted.subresource in ("", "status", "log")


def attributes_of(call: Call) -> Attributes:
    target = call.target
    if target is None:
        return Attributes(call.verb if call.method != "HEAD" else "get", path=call.path)
    return Attributes(
        call.verb, target.group, target.version, target.plural, target.subresource, target.namespace, target.name
    )


def authorize(call: Call) -> None:
    """Raise Forbidden unless the call's user may do this."""
    if is_trusted(call.user):
        return
    wanted = attributes_of(call)
    if not is_allowed(call.user, wanted):
        raise _refusal(call.user, wanted)


def _refusal(user: User, wanted: Attributes) -> Forbidden:
    if wanted.path:
        return Forbidden(f'forbidden: User "{user.name}" cannot {wanted.verb} path "{wanted.path}"')
    resource = wanted.resource + (f"/{wanted.subresource}" if wanted.subresource else "")
    where = f' in the namespace "{wanted.namespace}"' if wanted.namespace else " at the cluster scope"
    group_resource = f"{wanted.resource}.{wanted.group}" if wanted.group else wanted.resource
    shown = f' "{wanted.name}"' if wanted.name else ""
    return Forbidden(
        f"{group_resource}{shown} is forbidden: "
        f'User "{user.name}" cannot {wanted.verb} resource "{resource}" in API group "{wanted.group}"{where}',
        kind=wanted.resource, group=wanted.group, name=wanted.name,
    )  # fmt: skip
