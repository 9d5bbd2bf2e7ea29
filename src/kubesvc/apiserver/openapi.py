"""OpenAPI documents, built from the schema table when first asked for and kept as bytes.

    /openapi/v3                    an index of the versions, with URLs that change when their content does
    /openapi/v3/api/v1             one document per version, as JSON
    /openapi/v3/apis/<g>/<v>
    /openapi/v2                    everything in one document, as JSON or as protobuf

kubectl reads version 3 as JSON for `explain`, for apply's merge keys, and to learn that the server
validates fields. Older ones, and helm, read version 2, and that only as protobuf.
"""

import hashlib
from functools import cache
from typing import Any

import msgspec

from kubesvc import __version__
from kubesvc.api.resources import RESOURCES, Resource
from kubesvc.api.table import schema
from kubesvc.apiserver.descriptions import DESCRIPTIONS, ENUMS
from kubesvc.apiserver.openapi_paths import path_items
from kubesvc.apiserver.openapi_protobuf import ANSWERED, ASKED, encode_document
from kubesvc.apiserver.openapi_types import V2, V3, Dialect, definitions

JSON = "application/json"
_V3 = "/openapi/v3"
_INFO = {"title": "Kubernetes", "version": f"kubesvc-{__version__}"}
_OPTIONS = ("meta.v1.DeleteOptions", "meta.v1.Patch", "meta.v1.Status")


def document(path: str, accept: str = "") -> tuple[bytes, str] | None:
    """The document at a URL path and its Content-Type; None where there is none.

    `accept` is the request's Accept header: version 2 comes as protobuf to those who ask for nothing else.
    URLs of the index carry `?hash=…`: what is fetched with it may be cached for ever.
    """
    path = path.rstrip("/")
    if path == "/openapi/v2":
        return _encoded_v2(protobuf=ASKED in accept and JSON not in accept)
    if path == _V3:
        return _encoded_index(), JSON
    where = path.removeprefix(f"{_V3}/")
    return (_encoded_v3(where), JSON) if where in _versions() else None


def fingerprint() -> str:
    """Changes whenever any document does; usable as an ETag. Uppercase hexadecimal, 32 digits."""
    inputs = f"{__version__}{RESOURCES}{DESCRIPTIONS}{ENUMS}{schema().digest}"
    return hashlib.sha256(inputs.encode()).hexdigest()[:32].upper()


@cache
def _versions() -> dict[str, list[Resource]]:
    """`api/v1` and `apis/apps/v1` with the resources there."""
    versions: dict[str, list[Resource]] = {}
    for resource in RESOURCES:
        prefix = "apis" if resource.group else "api"
        versions.setdefault(f"{prefix}/{resource.group_version}", []).append(resource)
    return versions


@cache
def _encoded_index() -> bytes:
    mark = fingerprint()
    paths = {where: {"serverRelativeURL": f"{_V3}/{where}?hash={mark}"} for where in _versions()}
    return msgspec.json.encode({"paths": paths})


@cache
def _encoded_v3(where: str) -> bytes:
    resources = _versions()[where]
    return msgspec.json.encode(
        {
            "openapi": "3.0.0",
            "info": _INFO,
            "paths": _paths(resources, V3),
            "components": {"schemas": definitions(_roots(resources), V3)},
        }
    )


@cache
def _encoded_v2(*, protobuf: bool) -> tuple[bytes, str]:
    content = {
        "swagger": "2.0",
        "info": _INFO,
        "paths": _paths(list(RESOURCES), V2),
        "definitions": definitions(_roots(list(RESOURCES)), V2),
    }
    return (encode_document(content), ANSWERED) if protobuf else (msgspec.json.encode(content), JSON)


def _paths(resources: list[Resource], dialect: Dialect) -> dict[str, Any]:
    items = {path: item for resource in resources for path, item in path_items(resource, dialect).items()}
    return dict(sorted(items.items()))


def _roots(resources: list[Resource]) -> list[str]:
    kinds = [resource.schema_type for resource in resources]
    return [*kinds, *(f"{kind}List" for kind in kinds), *_OPTIONS]
