"""Discovery: which groups, versions and resources there are, in the unaggregated and the aggregated form (KEP-3352).

    /api, /apis            every version and group; with the right Accept all resources in one document
    /apis/<group>          one group's versions
    /api/v1, /apis/<g>/<v> the resources of one version, subresources as `pods/log`

Documents are built from `api.resources.RESOURCES` and the reviews, encoded once and kept.
"""

from functools import cache, lru_cache
from typing import Any, NamedTuple

import msgspec

from kubesvc.api.resources import RESOURCES, Resource

JSON = "application/json"
_AGGREGATED_KIND = "APIGroupDiscoveryList"
_AGGREGATED_VERSIONS = ("v2", "v2beta1")

_ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_READ_WRITE = ("get", "patch", "update")
_CONNECT = ("create", "get")
_PROXY = ("create", "delete", "get", "patch", "update")


class _Subresource(NamedTuple):
    """The kind a subresource speaks, its group and version ("" is its parent's), and its verbs."""

    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


_SUBRESOURCES: dict[str, _Subresource] = {
    "attach": _Subresource(_CONNECT, "PodAttachOptions"),
    "binding": _Subresource(("create",), "Binding"),
    "eviction": _Subresource(("create",), "Eviction", "policy", "v1"),
    "exec": _Subresource(_CONNECT, "PodExecOptions"),
    "finalize": _Subresource(("update",)),
    "log": _Subresource(("get",)),
    "portforward": _Subresource(_CONNECT, "PodPortForwardOptions"),
    "proxy": _Subresource(_PROXY, "{parent}ProxyOptions"),
    "scale": _Subresource(_READ_WRITE, "Scale", "autoscaling", "v1"),
    "token": _Subresource(("create",), "TokenRequest", "authentication.k8s.io", "v1"),
}
_STATUS_LIKE = _Subresource(_READ_WRITE)

_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
_REVIEWS = (
    Resource(_AUTHENTICATION, "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False),
    Resource(_AUTHENTICATION, "v1", "tokenreviews", "TokenReview", namespaced=False),
    Resource(_AUTHORIZATION, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False),
    Resource(_AUTHORIZATION, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False),
    Resource(_AUTHORIZATION, "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False),
)
"""Questions that are posted and answered, never stored."""

_SERVED = (*RESOURCES, *_REVIEWS)


def document(path: str, accept: str = "") -> tuple[bytes, str] | None:
    """The discovery document at a URL path and its Content-Type; None where there is none.

    `accept` is the request's Accept header: only `/api` and `/apis` have an aggregated form.
    """
    path = path.rstrip("/")
    version = _aggregated_version(accept) if path in ("/api", "/apis") else ""
    return _encoded(path, version)


def verbs_of(resource: Resource) -> tuple[str, ...]:
    """The verbs a resource itself serves; namespaces are only ever deleted one by one."""
    if resource in _REVIEWS:
        return ("create",)
    if resource.plural == "namespaces":
        return tuple(verb for verb in _ALL_VERBS if verb != "deletecollection")
    return _ALL_VERBS


@lru_cache(maxsize=64)  # bounded: the paths come from clients
def _encoded(path: str, aggregated: str) -> tuple[bytes, str] | None:
    if aggregated:
        kind = f"g=apidiscovery.k8s.io;v={aggregated};as={_AGGREGATED_KIND}"
        return msgspec.json.encode(_aggregated(core=path == "/api", version=aggregated)), f"{JSON};{kind}"
    built = _build(path.split("/")[1:])
    return (msgspec.json.encode(built), JSON) if built else None


def _build(parts: list[str]) -> dict[str, Any] | None:
    match parts:
        case ["api"]:
            return _api_versions()
        case ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in _groups() if name]}
        case ["api", version]:
            return _resource_list("", version)
        case ["apis", group] if group in _groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
        case ["apis", group, version] if group:
            return _resource_list(group, version)
    return None


def _aggregated_version(accept: str) -> str:
    """The first aggregated version the client lists before plain JSON, or ""."""
    for clause in accept.split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        if media != JSON:
            continue
        wanted = dict(part.split("=", 1) for part in parameters if "=" in part)
        if wanted.get("as") == _AGGREGATED_KIND and wanted.get("v") in _AGGREGATED_VERSIONS:
            return wanted["v"]
        if "as" not in wanted:
            return ""
    return ""


@cache
def _groups() -> dict[str, list[str]]:
    """Each group's versions, in the order the resources name them."""
    groups: dict[str, list[str]] = {}
    for resource in _SERVED:
        versions = groups.setdefault(resource.group, [])
        if resource.version not in versions:
            versions.append(resource.version)
    return groups


def _resources(group: str, version: str) -> list[Resource]:
    found = [r for r in _SERVED if (r.group, r.version) == (group, version)]
    return sorted(found, key=lambda resource: resource.plural)


# Unaggregated


def _api_versions() -> dict[str, Any]:
    return {"kind": "APIVersions", "versions": _groups()[""], "serverAddressByClientCIDRs": []}


def _group(name: str) -> dict[str, Any]:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in _groups()[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resource_list(group: str, version: str) -> dict[str, Any] | None:
    resources = [entry for resource in _resources(group, version) for entry in _resource_entries(resource)]
    group_version = f"{group}/{version}" if group else version
    listing = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}
    return listing if resources else None


def _resource_entries(resource: Resource) -> list[dict[str, Any]]:
    own = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs_of(resource),
        **_names(resource),
    }
    return [own, *(_subresource_entry(resource, name) for name in sorted(resource.subresources))]


def _subresource_entry(resource: Resource, name: str) -> dict[str, Any]:
    spoken = _spoken(resource, name)
    entry: dict[str, Any] = {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": spoken.kind,
        "verbs": spoken.verbs,
    }
    if spoken.group != resource.group:
        entry |= {"group": spoken.group, "version": spoken.version}
    return entry


def _spoken(resource: Resource, name: str) -> _Subresource:
    """What a subresource speaks, with its parent's kind and group filled in."""
    entry = _SUBRESOURCES.get(name, _STATUS_LIKE)
    return _Subresource(
        verbs=entry.verbs,
        kind=entry.kind.format(parent=resource.kind) or resource.kind,
        group=entry.group or resource.group,
        version=entry.version or resource.version,
    )


def _names(resource: Resource) -> dict[str, Any]:
    names = {"shortNames": resource.short_names, "categories": resource.categories}
    return {name: words for name, words in names.items() if words}


# Aggregated


def _aggregated(*, core: bool, version: str) -> dict[str, Any]:
    items = [_aggregated_group(name) for name in _groups() if core is (not name)]
    api_version = f"apidiscovery.k8s.io/{version}"
    return {"kind": _AGGREGATED_KIND, "apiVersion": api_version, "metadata": {}, "items": items}


def _aggregated_group(name: str) -> dict[str, Any]:
    versions = [
        {
            "version": version,
            "resources": [_aggregated_resource(resource) for resource in _resources(name, version)],
            "freshness": "Current",
        }
        for version in _groups()[name]
    ]
    return {"metadata": {"name": name} if name else {}, "versions": versions}


def _aggregated_resource(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _response_kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": verbs_of(resource),
        **_names(resource),
    }
    if resource.subresources:
        entry["subresources"] = [_aggregated_subresource(resource, name) for name in sorted(resource.subresources)]
    return entry


def _aggregated_subresource(resource: Resource, name: str) -> dict[str, Any]:
    spoken = _spoken(resource, name)
    response = _response_kind(spoken.group, spoken.version, spoken.kind)
    return {"subresource": name, "responseKind": response, "verbs": spoken.verbs}


def _response_kind(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}
